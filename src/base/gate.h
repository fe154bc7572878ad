// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "base/mutex.h"

namespace erofs_oci {

/// What threads go through until it is closed: whoever closed it knows that none is within any more. Thread-safe.
class Gate {
 public:
  /// A thread's being within. A thread may be within more than once.
  class Pass {
   public:
    explicit Pass(Gate& gate) : gate_(gate), is_within_(gate.enter()) {}
    ~Pass() {
      if (is_within_) gate_.leave();
    }
    Pass(const Pass&) = delete;
    Pass& operator=(const Pass&) = delete;
    /// False where the gate was closed: stay out.
    explicit operator bool() const { return is_within_; }

   private:
    Gate& gate_;
    const bool is_within_;
  };

  /// Waits until all who are within have left, of whom the caller must not be one. May be called again.
  void close() {
    MutexLock lock(mutex_);
    closed_ = true;
    while (within_ != 0) left_.wait(mutex_);
  }

 private:
  bool enter() {
    MutexLock lock(mutex_);
    if (!closed_) ++within_;
    return !closed_;
  }
  void leave() {
    MutexLock lock(mutex_);
    if (--within_ == 0) left_.notify_all();
  }

  Mutex mutex_;
  CondVar left_;
  bool closed_ GUARDED_BY(mutex_) = false;
  size_t within_ GUARDED_BY(mutex_) = 0;
};

}  // namespace erofs_oci
