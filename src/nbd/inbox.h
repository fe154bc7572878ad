// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <utility>
#include <vector>

#include "base/error.h"
#include "base/mutex.h"
#include "base/unique_fd.h"

namespace erofs_oci::nbd {

/// Where results of reads arrive for the thread that replies, and the order to stop. Shared with reads under
/// way, which may outlive the connection. Thread-safe.
template <typename Result>
class Inbox {
 public:
  Inbox() : wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (!wake_) throw errno_error("eventfd");
  }

  void put(Result result) {
    {
      MutexLock lock(mutex_);
      results_.push_back(std::move(result));
    }
    wake();
  }
  void stop() {
    {
      MutexLock lock(mutex_);
      stopping_ = true;
    }
    wake();
  }
  /// Nothing once stop() was called: what fails because of the end is nobody's answer.
  std::vector<Result> take() {
    MutexLock lock(mutex_);
    if (stopping_) return {};
    return std::exchange(results_, {});
  }
  bool stopping() const {
    MutexLock lock(mutex_);
    return stopping_;
  }

  /// To poll; clear_wake() goes before take().
  int wake_fd() const { return wake_.get(); }
  void clear_wake() const {
    eventfd_t count;
    [[maybe_unused]] const int ignored = ::eventfd_read(wake_.get(), &count);  // empty is fine
  }

 private:
  void wake() const {
    [[maybe_unused]] const int ignored = ::eventfd_write(wake_.get(), 1);  // full is awake
  }

  const UniqueFd wake_;
  mutable Mutex mutex_;
  std::vector<Result> results_ GUARDED_BY(mutex_);
  bool stopping_ GUARDED_BY(mutex_) = false;
};

}  // namespace erofs_oci::nbd
