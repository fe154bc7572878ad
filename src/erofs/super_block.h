// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "erofs/ondisk.h"

namespace erofs_oci::erofs {

/// So many bytes from the start of an image are needed to read its superblock and first device slot.
constexpr uint64_t kSuperBytes = 4096;

/// What a superblock says, checked.
struct Super {
  uint32_t block_size = 0;
  uint64_t size_bytes = 0;  ///< of the primary device
  uint64_t meta_offset = 0;
  uint64_t xattr_offset = 0;  ///< what shared xattrs are counted from
  int64_t epoch = 0;          ///< the time of compact inodes
  uint64_t root_nid = 0;
  uint64_t inodes = 0;
  uint16_t extra_devices = 0;
  uint64_t device_table_offset = 0;

  uint64_t inode_offset(uint64_t nid) const { return meta_offset + nid * kInodeAlignment; }
};

/// The one extra device of a tarindex.
struct ExtraDevice {
  uint64_t offset_bytes = 0;  ///< where it begins in the flat address space
  uint64_t size_bytes = 0;
};

/// Parses and checks the superblock in `start`, the first kSuperBytes of an image (fewer are taken as its end).
/// Throws Error corrupt, or unsupported for block sizes that no kernel here mounts, beginning with `name`.
Super parse_super(Bytes start, std::string_view name);

/// The CRC that the superblock of `start` should bear; for images with the checksum feature whose first block is in
/// `start`.
uint32_t super_checksum(Bytes start, uint32_t block_size);

ExtraDevice parse_device_slot(Bytes slot, uint32_t block_size);

}  // namespace erofs_oci::erofs
