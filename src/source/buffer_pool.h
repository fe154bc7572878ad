// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>

#include "base/mutex.h"
#include "source/buffer.h"

namespace erofs_oci {

/// Buffers that were used, for the next who needs one: fresh pages cost a fault and the kernel's zeroing each,
/// which is a third of the time that it takes to inflate into them. Thread-safe.
class BufferPool {
 public:
  /// Keeps up to so many bytes of pages; what has been idle the longest goes first.
  explicit BufferPool(uint64_t keep_bytes) : keep_(keep_bytes) {}

  /// A buffer of `size` bytes of any content. Throws Error.
  Buffer take(size_t size);
  void put(Buffer buffer);

 private:
  Buffer take_idle(size_t capacity) REQUIRES(mutex_);

  const uint64_t keep_;
  Mutex mutex_;
  std::deque<Buffer> idle_ GUARDED_BY(mutex_);  // longest idle first
  uint64_t idle_bytes_ GUARDED_BY(mutex_) = 0;
};

}  // namespace erofs_oci
