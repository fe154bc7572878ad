// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/bytes.h"

namespace erofs_oci {

/// Anonymous pages of their own, given back to the system at once when dropped: heap fragments would outlive the
/// memory bound. Fresh ones are zero. Move-only.
class Buffer {
 public:
  Buffer() = default;
  /// May have more pages than `size` needs. Throws Error.
  explicit Buffer(size_t size, size_t capacity = 0);
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;
  ~Buffer();

  MutableBytes bytes() { return {data_, size_}; }
  Bytes bytes() const { return {data_, size_}; }
  size_t size() const { return size_; }
  size_t capacity() const { return capacity_; }
  /// `size` must not exceed the capacity. The content stays.
  void resize(size_t size) { size_ = size; }
  /// Has `capacity` bytes of pages from now on, those that it had first; of any content. Throws Error.
  void reshape(size_t capacity);
  explicit operator bool() const { return data_ != nullptr; }

 private:
  std::byte* data_ = nullptr;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace erofs_oci
