// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

/// On-disk structures of EROFS as the kernel's fs/erofs/erofs_fs.h defines them, little-endian. Names are the kernel's
/// without "erofs_".
namespace erofs_oci::erofs {

constexpr uint64_t kSuperOffset = 1024;
constexpr uint32_t kSuperMagic = 0xE0F5E1E2;

constexpr uint32_t kCompatSbChecksum = 0x1;
constexpr uint32_t kCompatMtime = 0x2;  // the times of inodes are mtimes
constexpr uint32_t kCompatXattrFilter = 0x4;
constexpr uint32_t kIncompatChunkedFile = 0x4;
constexpr uint32_t kIncompatDeviceTable = 0x8;

struct [[gnu::packed]] SuperBlock {
  uint32_t magic;
  uint32_t checksum;
  uint32_t feature_compat;
  uint8_t blkszbits;
  uint8_t sb_extslots;
  uint16_t root_nid;
  uint64_t inos;
  uint64_t epoch;
  uint32_t fixed_nsec;
  uint32_t blocks_lo;
  uint32_t meta_blkaddr;
  uint32_t xattr_blkaddr;
  uint8_t uuid[16];
  uint8_t volume_name[16];
  uint32_t feature_incompat;
  uint16_t available_compr_algs;
  uint16_t extra_devices;
  uint16_t devt_slotoff;
  uint8_t dirblkbits;
  uint8_t xattr_prefix_count;
  uint32_t xattr_prefix_start;
  uint64_t packed_nid;
  uint8_t xattr_filter_reserved;
  uint8_t reserved[23];
};
static_assert(sizeof(SuperBlock) == 128);

constexpr uint64_t kDeviceSlotSize = 128;

struct [[gnu::packed]] DeviceSlot {
  uint8_t tag[64];
  uint32_t blocks_lo;
  uint32_t uniaddr_lo;
  uint16_t blocks_hi;
  uint16_t uniaddr_hi;
  uint8_t reserved[52];
};
static_assert(sizeof(DeviceSlot) == kDeviceSlotSize);

constexpr uint64_t kInodeAlignment = 32;
constexpr uint16_t kInodeExtended = 1;  // i_format bit 0

enum class Layout : uint16_t { flat_plain = 0, compressed_full = 1, flat_inline = 2, compressed_compact = 3, chunk_based = 4 };

struct [[gnu::packed]] CompactInode {
  uint16_t format;
  uint16_t xattr_icount;
  uint16_t mode;
  uint16_t nlink;
  uint32_t size;
  uint32_t reserved;
  uint32_t u;
  uint32_t ino;
  uint16_t uid;
  uint16_t gid;
  uint32_t reserved2;
};
static_assert(sizeof(CompactInode) == 32);

struct [[gnu::packed]] ExtendedInode {
  uint16_t format;
  uint16_t xattr_icount;
  uint16_t mode;
  uint16_t reserved;
  uint64_t size;
  uint32_t u;
  uint32_t ino;
  uint32_t uid;
  uint32_t gid;
  uint64_t mtime;
  uint32_t mtime_nsec;
  uint32_t nlink;
  uint8_t reserved2[16];
};
static_assert(sizeof(ExtendedInode) == 64);

constexpr uint16_t kChunkBitsMask = 0x1f;
constexpr uint16_t kChunkIndexes = 0x20;
constexpr uint32_t kNullAddress = UINT32_MAX;

struct [[gnu::packed]] ChunkIndex {
  uint16_t startblk_hi;
  uint16_t device_id;
  uint32_t startblk_lo;
};
static_assert(sizeof(ChunkIndex) == 8);

struct [[gnu::packed]] DirEntry {
  uint64_t nid;
  uint16_t nameoff;
  uint8_t file_type;
  uint8_t reserved;
};
static_assert(sizeof(DirEntry) == 12);

/// Values of DirEntry::file_type.
enum class FileType : uint8_t {
  unknown = 0,
  regular = 1,
  directory = 2,
  character_device = 3,
  block_device = 4,
  fifo = 5,
  socket = 6,
  symlink = 7,
};

constexpr size_t kMaxName = 255;

struct [[gnu::packed]] XattrHeader {
  uint32_t name_filter;
  uint8_t shared_count;
  uint8_t reserved[7];
};
static_assert(sizeof(XattrHeader) == 12);

struct [[gnu::packed]] XattrEntry {
  uint8_t name_len;
  uint8_t name_index;
  uint16_t value_size;
};
static_assert(sizeof(XattrEntry) == 4);

constexpr uint64_t kXattrAlignment = 4;

/// The bytes of inline xattrs that i_xattr_icount stands for; 0 where there are none.
constexpr uint64_t xattr_size(uint16_t icount) { return icount == 0 ? 0 : 12 + 4 * (uint64_t{icount} - 1); }

/// Its inverse, for `size` bytes, a multiple of 4, and 0 or more than a header.
constexpr uint16_t xattr_icount(uint64_t size) {
  return static_cast<uint16_t>(size == 0 ? 0 : (size - 12) / 4 + 1);
}

}  // namespace erofs_oci::erofs
