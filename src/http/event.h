// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "http/engine.h"

namespace erofs_oci::http {

/// Something that happens once and that many tasks may wait for. Belongs to the transfer thread.
class Event {
 public:
  explicit Event(Engine& engine) : engine_(engine) {}
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  /// Returns at once where it has happened. The event must outlive the wait.
  Task<void> wait(const AbortGroup* group = nullptr);
  void set();
  bool is_set() const { return set_; }

 private:
  class Wait;
  Engine& engine_;
  bool set_ = false;
  std::vector<Wait*> waiting_;
};

}  // namespace erofs_oci::http
