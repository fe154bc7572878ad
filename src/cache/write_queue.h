// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <functional>

#include "base/mutex.h"

namespace erofs_oci {

/// What the cache's writer still has to do, in order. Spans that wait here hold memory that readers want, so
/// there is a bound; who comes beyond it is refused and not cached, rather than that a reader waits for a
/// disk. Thread-safe.
class WriteQueue {
 public:
  using Task = std::function<void()>;

  explicit WriteQueue(uint64_t limit_bytes) : limit_(limit_bytes) {}

  /// False where the queue is full, or stopped.
  bool push_span(uint64_t bytes, Task task);
  /// Whatever the bound says; false where it is stopped.
  bool push(Task task);
  /// Runs tasks until stop(), with no lock held.
  void run();
  /// Ends run() after the task at hand; tasks that wait are dropped.
  void stop();

 private:
  struct Item {
    uint64_t bytes;
    Task task;
  };

  const uint64_t limit_;
  Mutex mutex_;
  CondVar changed_;
  std::deque<Item> items_ GUARDED_BY(mutex_);
  uint64_t bytes_ GUARDED_BY(mutex_) = 0;  // of spans, the one being written included
  bool stopped_ GUARDED_BY(mutex_) = false;
};

}  // namespace erofs_oci
