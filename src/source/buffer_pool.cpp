// SPDX-License-Identifier: Apache-2.0
#include "source/buffer_pool.h"

#include <algorithm>
#include <bit>
#include <vector>

namespace erofs_oci {
namespace {

constexpr size_t kSmallest = 16 * kKiB;

/// Sizes are rounded up to one of 16 steps between powers of two: spans are of nearly the same size, so that next to nothing is
/// to be added to one that was used.
size_t rounded(size_t size) {
  if (size <= kSmallest) return kSmallest;
  const size_t step = std::bit_floor(size - 1) / 16;
  return (size + step - 1) / step * step;
}

}  // namespace

Buffer BufferPool::take(size_t size) {
  const size_t capacity = rounded(size);
  Buffer idle;
  {
    MutexLock lock(mutex_);
    idle = take_idle(capacity);
  }
  if (!idle) return Buffer(size, capacity);
  if (idle.capacity() != capacity) idle.reshape(capacity);
  idle.resize(size);
  return idle;
}

/// The one that differs the least from that capacity, and less than by half of it; an empty one where there is none. The
/// last that came of several, which the processor's caches may still hold.
Buffer BufferPool::take_idle(size_t capacity) {
  const auto difference = [&](const Buffer& buffer) {
    return std::max(buffer.capacity(), capacity) - std::min(buffer.capacity(), capacity);
  };
  const auto nearest = std::min_element(idle_.rbegin(), idle_.rend(), [&](const Buffer& a, const Buffer& b) {
    return difference(a) < difference(b);
  });
  if (nearest == idle_.rend() || difference(*nearest) * 2 >= capacity) return {};
  Buffer buffer = std::move(*nearest);
  idle_.erase(std::next(nearest).base());
  idle_bytes_ -= buffer.capacity();
  return buffer;
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
