// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <optional>

#include "handover/request_table.h"

namespace erofs_oci {

/// Reads that were pending in more than one crash. One of them may be the cause and is to fail in the end; so
/// that the others do not fail with it, they are started one after the other, each when the one before it is
/// answered: the next crash is put down to one alone. One thread at a time.
class Suspects {
 public:
  void add(const RequestTable::Entry& entry) { waiting_.push_back(entry); }

  /// The one to start now; nullopt where there is none, or one is under way.
  std::optional<RequestTable::Entry> next() {
    if (under_way_ || waiting_.empty()) return std::nullopt;
    const RequestTable::Entry entry = waiting_.front();
    waiting_.pop_front();
    under_way_ = entry.first;
    return entry;
  }

  /// True where `slot` was the one under way.
  bool answered(RequestTable::Slot slot) {
    if (under_way_ != slot) return false;
    under_way_.reset();
    return true;
  }

 private:
  std::deque<RequestTable::Entry> waiting_;
  std::optional<RequestTable::Slot> under_way_;
};

}  // namespace erofs_oci
