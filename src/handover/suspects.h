// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <optional>

#include "handover/request_table.h"

namespace erofs_oci {

/// Reads that were pending in more than one crash. One of them may be the cause and is to fail in the end; so
/// that the others do not fail with it, they are started one after the other, each when the one before it is
/// answered, or waits for a source that is away: the next crash is put down to one alone. As a crash takes the whole process with it, whatever
/// its mounts, one is under way in the process. One thread at a time, but for other objects.
class Suspects {
 public:
  /// `wake_fd`, an eventfd that outlives this, is written when it may be next()'s turn.
  explicit Suspects(int wake_fd) : wake_fd_(wake_fd) {}
  ~Suspects();
  Suspects(const Suspects&) = delete;
  Suspects& operator=(const Suspects&) = delete;

  void add(const RequestTable::Entry& entry) { waiting_.push_back(entry); }

  /// The one to start now; nullopt where there is none, or one is under way.
  std::optional<RequestTable::Entry> next();

  /// `slot` is answered, or waits: true where it was the one under way.
  bool settled(RequestTable::Slot slot);

 private:
  const int wake_fd_;
  std::deque<RequestTable::Entry> waiting_;
  std::optional<RequestTable::Slot> under_way_;
};

}  // namespace erofs_oci
