// SPDX-License-Identifier: Apache-2.0
#include "source/worker_pool.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

namespace erofs_oci {

WorkerPool::WorkerPool(size_t threads, Pulses* pulses)
    : prefetches_allowed_(std::max<size_t>(threads, 2) - 1) {
  for (size_t i = 0; i < threads; ++i) {
    threads_.emplace_back([this, pulses] {
      ::pthread_setname_np(::pthread_self(), "inflate");
      run(LoopPulse(pulses, "inflate"));
    });
  }
}

WorkerPool::~WorkerPool() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
}

void WorkerPool::post(Priority priority, Task task) {
  {
    MutexLock lock(mutex_);
    queues_[static_cast<size_t>(priority)].push_back(std::move(task));
  }
  changed_.notify_one();
}

/// Of the queue whose next task is to start; nullopt where none may start now.
std::optional<Priority> WorkerPool::next() const {
  for (const Priority priority : {Priority::foreground, Priority::read_ahead, Priority::prefetch}) {
    if (queues_[static_cast<size_t>(priority)].empty()) continue;
    if (priority == Priority::prefetch && prefetches_ >= prefetches_allowed_) continue;
    return priority;
  }
  return std::nullopt;
}

/// The next task, once there is one; nullopt at the end.
std::optional<WorkerPool::Started> WorkerPool::take() {
  MutexLock lock(mutex_);
  for (;;) {
    if (const auto priority = next()) {
      auto& queue = queues_[static_cast<size_t>(*priority)];
      Started started{std::move(queue.front()), *priority};
      queue.pop_front();
      if (*priority == Priority::prefetch) ++prefetches_;
      return started;
    }
    if (stopping_ && std::ranges::all_of(queues_, [](const auto& queue) { return queue.empty(); }))
      return std::nullopt;
    changed_.wait(mutex_);
  }
}

void WorkerPool::run(const LoopPulse& pulse) {
  while (auto started = take()) {
    pulse.work();
    started->task();
    pulse.rest();
    if (started->priority != Priority::prefetch) continue;
    MutexLock lock(mutex_);
    --prefetches_;
    changed_.notify_all();  // another may start now, or all have ended
  }
}

}  // namespace erofs_oci
