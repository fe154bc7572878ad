// SPDX-License-Identifier: Apache-2.0
#include "source/buffer_pool.h"

#include <algorithm>
#include <bit>
#include <vector>

namespace erofs_oci {
namespace {

constexpr size_t kSmallest = 16 * kKiB;

/// Sizes are rounded up to one of four steps between powers of two, so that few kinds of buffers fit many needs.
size_t rounded(size_t size) {
  if (size <= kSmallest) return kSmallest;
  const size_t step = std::bit_floor(size - 1) / 4;
  return (size + step - 1) / step * step;
}

}  // namespace

Buffer BufferPool::take(size_t size) {
  const size_t capacity = rounded(size);
  {
    MutexLock lock(mutex_);
    const auto last = std::find_if(idle_.rbegin(), idle_.rend(),
                                   [&](const Buffer& buffer) { return buffer.capacity() == capacity; });
    if (last != idle_.rend()) {
      Buffer buffer = std::move(*last);
      idle_.erase(std::next(last).base());
      idle_bytes_ -= capacity;
      buffer.resize(size);
      return buffer;
    }
  }
  return Buffer(size, capacity);
}

void BufferPool::put(Buffer buffer) {
  std::vector<Buffer> dropped;  // unmapped after the lock
  MutexLock lock(mutex_);
  idle_bytes_ += buffer.capacity();
  idle_.push_back(std::move(buffer));
  while (idle_bytes_ > keep_) {
    idle_bytes_ -= idle_.front().capacity();
    dropped.push_back(std::move(idle_.front()));
    idle_.pop_front();
  }
}

}  // namespace erofs_oci
