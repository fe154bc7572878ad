// SPDX-License-Identifier: Apache-2.0
#include "source/buffer.h"

#include <sys/mman.h>

#include <algorithm>

#include "base/error.h"

namespace erofs_oci {

Buffer::Buffer(size_t size, size_t capacity) : size_(size), capacity_(std::max(size, capacity)) {
  if (capacity_ == 0) return;
  void* pages = ::mmap(nullptr, capacity_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) throw errno_error("cannot allocate {} bytes", capacity_);
  data_ = static_cast<std::byte*>(pages);
#ifdef MADV_POPULATE_WRITE
  // All of it will be written: one call instead of a fault a page. Kernels before 5.14 cannot, and then pages come by
  // faults.
  ::madvise(data_, size_, MADV_POPULATE_WRITE);
#endif
}

void Buffer::reshape(size_t capacity) {
  void* pages = ::mremap(data_, capacity_, capacity, MREMAP_MAYMOVE);
  if (pages == MAP_FAILED) throw errno_error("cannot allocate {} bytes", capacity);
  data_ = static_cast<std::byte*>(pages);
  capacity_ = capacity;
  size_ = std::min(size_, capacity);
}

Buffer::Buffer(Buffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      capacity_(std::exchange(other.capacity_, 0)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  Buffer taken(std::move(other));
  std::swap(data_, taken.data_);
  std::swap(size_, taken.size_);
  std::swap(capacity_, taken.capacity_);
  return *this;
}

Buffer::~Buffer() {
  if (data_ != nullptr) ::munmap(data_, capacity_);
}

}  // namespace erofs_oci
