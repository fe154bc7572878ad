// SPDX-License-Identifier: Apache-2.0
#include "erofs/dir_block.h"

namespace erofs_oci::erofs {

bool DirectorySize::add(size_t name_length) {
  const uint64_t entry = sizeof(DirEntry) + name_length;
  const bool begins_block = used_ + entry > block_size_;
  if (begins_block) {
    ++full_blocks_;
    used_ = 0;
  }
  used_ += entry;
  return begins_block;
}

DirectoryBlocks::DirectoryBlocks(uint32_t block_size, Sink sink)
    : block_size_(block_size), sink_(std::move(sink)), size_(block_size) {}

void DirectoryBlocks::add(std::string_view name, uint64_t nid, FileType type) {
  if (size_.add(name.size())) emit(true);
  pending_.push_back({name, nid, type});
}

void DirectoryBlocks::finish() {
  emit(false);
}

void DirectoryBlocks::emit(bool padded) {
  block_.assign(pending_.size() * sizeof(DirEntry), std::byte{});
  for (size_t i = 0; i < pending_.size(); ++i) {
    const DirEntry raw{.nid = pending_[i].nid,
                       .nameoff = static_cast<uint16_t>(block_.size()),
                       .file_type = static_cast<uint8_t>(pending_[i].type)};
    store_le(block_.data() + i * sizeof raw, raw);
    const Bytes name = as_bytes(pending_[i].name);
    block_.insert(block_.end(), name.begin(), name.end());
  }
  if (padded) block_.resize(block_size_);
  pending_.clear();
  sink_(number_++, block_);
}

}  // namespace erofs_oci::erofs
