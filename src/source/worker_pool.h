// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <optional>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "base/pulse.h"
#include "base/range_reader.h"

namespace erofs_oci {

/// Threads that verify and inflate spans, one a core. Tasks of a priority start in order, after those of a
/// higher one, and those of the lowest leave one thread free where there are several. They must not throw and
/// block on nothing but local disk; their number is bounded by the memory that each has reserved before.
/// Thread-safe.
class WorkerPool {
 public:
  /// Each thread has a pulse of `pulses`, where there are any; they outlive the pool.
  explicit WorkerPool(size_t threads, Pulses* pulses = nullptr);
  /// Finishes the tasks that were posted, then ends the threads.
  ~WorkerPool();

  void post(Priority priority, std::function<void()> task);

 private:
  using Task = std::function<void()>;
  struct Started {
    Task task;
    Priority priority;
  };

  void run(const LoopPulse& pulse);
  std::optional<Priority> next() const REQUIRES(mutex_);
  std::optional<Started> take();

  const size_t prefetches_allowed_;

  Mutex mutex_;
  CondVar changed_;
  std::array<std::deque<Task>, 3> queues_ GUARDED_BY(mutex_);  // by Priority
  size_t prefetches_ GUARDED_BY(mutex_) = 0;                   // that run now
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::vector<std::jthread> threads_;
};

}  // namespace erofs_oci
