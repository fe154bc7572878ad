// SPDX-License-Identifier: Apache-2.0
#include "source/buffer.h"

#include <sys/mman.h>

#include <utility>

#include "base/error.h"

namespace erofs_oci {

Buffer::Buffer(size_t size, std::function<void(size_t)> on_free) : size_(size) {
  if (size != 0) {
    void* pages = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) throw errno_error("cannot allocate {} bytes", size);
    data_ = static_cast<std::byte*>(pages);
  }
  on_free_ = std::move(on_free);
}

Buffer::Buffer(Buffer&& other) noexcept { swap(other); }

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  Buffer taken(std::move(other));
  swap(taken);
  return *this;
}

Buffer::~Buffer() {
  if (data_ != nullptr) ::munmap(data_, size_);
  if (on_free_) on_free_(size_);
}

void Buffer::swap(Buffer& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(on_free_, other.on_free_);
}

}  // namespace erofs_oci
