// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "base/error.h"
#include "http/event.h"

namespace erofs_oci::http {

/// Work that several tasks wait for and that is done once, in a task of its own, so that it goes on when one
/// of them gives up. Held by a shared_ptr by the worker and by those who wait. Belongs to the transfer
/// thread.
class Flight {
 public:
  explicit Flight(Engine& engine) : landed_(engine) {}

  /// Throws the error that the work ended with.
  Task<void> wait(const AbortGroup* group) {
    co_await landed_.wait(group);
    if (failure_) throw *failure_;
  }
  void land(std::optional<Error> failure) {
    failure_ = std::move(failure);
    landed_.set();
  }

 private:
  Event landed_;
  std::optional<Error> failure_;
};

}  // namespace erofs_oci::http
