// SPDX-License-Identifier: Apache-2.0
#include "handover/suspects.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <vector>

#include "base/mutex.h"

namespace erofs_oci {
namespace {

/// Whose suspect is under way in this process. Thread-safe.
class Turn {
 public:
  bool take(const void* who, int wake_fd) {
    MutexLock lock(mutex_);
    if (holder_ == nullptr) holder_ = who;
    if (holder_ == who) return true;
    if (std::ranges::find(waiting_, wake_fd) == waiting_.end()) waiting_.push_back(wake_fd);
    return false;
  }

  void give_back(const void* who, int wake_fd) {
    MutexLock lock(mutex_);
    std::erase(waiting_, wake_fd);
    if (holder_ != who) return;
    holder_ = nullptr;
    for (const int fd : waiting_) {
      [[maybe_unused]] const int full_is_awake = ::eventfd_write(fd, 1);
    }
    waiting_.clear();
  }

 private:
  Mutex mutex_;
  const void* holder_ GUARDED_BY(mutex_) = nullptr;
  std::vector<int> waiting_ GUARDED_BY(mutex_);
};

Turn& turn() {
  static Turn of_the_process;
  return of_the_process;
}

}  // namespace

Suspects::~Suspects() {
  turn().give_back(this, wake_fd_);
}

std::optional<RequestTable::Entry> Suspects::next() {
  if (under_way_ || waiting_.empty() || !turn().take(this, wake_fd_)) return std::nullopt;
  const RequestTable::Entry entry = waiting_.front();
  waiting_.pop_front();
  under_way_ = entry.first;
  return entry;
}

bool Suspects::settled(RequestTable::Slot slot) {
  if (under_way_ != slot) return false;
  under_way_.reset();
  turn().give_back(this, wake_fd_);
  return true;
}

}  // namespace erofs_oci
