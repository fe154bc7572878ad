// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "base/bytes.h"

namespace erofs_oci {

/// Anonymous pages of their own, given back to the system at once when dropped: heap fragments would outlive the
/// memory bound. `on_free` runs after the pages are gone. Move-only.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(size_t size, std::function<void(size_t)> on_free = {});
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;
  ~Buffer();

  MutableBytes bytes() { return {data_, size_}; }
  Bytes bytes() const { return {data_, size_}; }
  size_t size() const { return size_; }
  explicit operator bool() const { return data_ != nullptr; }

 private:
  void swap(Buffer& other) noexcept;

  std::byte* data_ = nullptr;
  size_t size_ = 0;
  std::function<void(size_t)> on_free_;
};

}  // namespace erofs_oci
