// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "base/mutex.h"

namespace erofs_oci {

/// Threads that verify and inflate spans, one a core. Tasks start in order, must not throw and block on nothing but
/// local disk; their number is bounded by the memory that each has reserved before. Thread-safe.
class WorkerPool {
 public:
  explicit WorkerPool(size_t threads);
  /// Finishes the tasks that were posted, then ends the threads.
  ~WorkerPool();

  void post(std::function<void()> task);

 private:
  void run();

  Mutex mutex_;
  CondVar changed_;
  std::deque<std::function<void()>> tasks_ GUARDED_BY(mutex_);
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::vector<std::jthread> threads_;
};

}  // namespace erofs_oci
