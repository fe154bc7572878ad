// SPDX-License-Identifier: Apache-2.0
#include "cache/write_queue.h"

namespace erofs_oci {

bool WriteQueue::push_span(uint64_t bytes, Task task) {
  MutexLock lock(mutex_);
  if (stopped_ || (bytes_ != 0 && bytes_ + bytes > limit_)) return false;
  bytes_ += bytes;
  items_.push_back({bytes, std::move(task)});
  changed_.notify_one();
  return true;
}

bool WriteQueue::push(Task task) {
  MutexLock lock(mutex_);
  if (stopped_) return false;
  items_.push_back({0, std::move(task)});
  changed_.notify_one();
  return true;
}

void WriteQueue::run() {
  for (;;) {
    Item item;
    {
      MutexLock lock(mutex_);
      while (items_.empty() && !stopped_) changed_.wait(mutex_);
      if (stopped_) return;
      item = std::move(items_.front());
      items_.pop_front();
    }
    item.task();
    item.task = nullptr;  // the span's memory goes before its place in the queue
    MutexLock lock(mutex_);
    bytes_ -= item.bytes;
  }
}

void WriteQueue::stop() {
  std::deque<Item> dropped;  // after the lock
  MutexLock lock(mutex_);
  stopped_ = true;
  dropped.swap(items_);
  changed_.notify_all();
}

}  // namespace erofs_oci
