// SPDX-License-Identifier: Apache-2.0
#include "erofs/super_block.h"

#include <array>
#include <vector>

#include "base/error.h"

namespace erofs_oci::erofs {
namespace {

constexpr uint8_t kMinBlockBits = 9;
constexpr uint8_t kMaxBlockBits = 12;

constexpr std::array<uint32_t, 256> make_crc32c_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < table.size(); ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78u : 0);
    table[i] = crc;
  }
  return table;
}

/// CRC-32C, reflected, without final inversion (the kernel's crc32c_le).
uint32_t crc32c(uint32_t crc, Bytes data) {
  static constexpr auto kTable = make_crc32c_table();
  for (const std::byte byte : data) crc = (crc >> 8) ^ kTable[(crc ^ std::to_integer<uint32_t>(byte)) & 0xff];
  return crc;
}

}  // namespace

uint32_t super_checksum(Bytes start, uint32_t block_size) {
  const size_t length = block_size > kSuperOffset ? block_size - kSuperOffset : block_size;
  std::vector<std::byte> block(length);
  const Bytes available = start.subspan(kSuperOffset);
  std::memcpy(block.data(), available.data(), std::min(length, available.size()));
  store_le<uint32_t>(block.data() + offsetof(SuperBlock, checksum), 0);
  return crc32c(~0u, block);
}

Super parse_super(Bytes start, std::string_view name) {
  if (start.size() < kSuperOffset + sizeof(SuperBlock) ||
      load_le<uint32_t>(start.data() + kSuperOffset) != kSuperMagic) {
    throw make_error(ErrorKind::corrupt, "{}: is not an EROFS image", name);
  }
  const auto raw = load_le<SuperBlock>(start.data() + kSuperOffset);
  if (raw.blkszbits < kMinBlockBits || raw.blkszbits > kMaxBlockBits) {
    throw make_error(ErrorKind::unsupported, "{}: has EROFS blocks of 2^{} bytes; 512 to 4096 are supported", name,
                     raw.blkszbits);
  }
  Super super;
  super.block_size = 1u << raw.blkszbits;
  if ((raw.feature_compat & kCompatSbChecksum) != 0 && super_checksum(start, super.block_size) != raw.checksum) {
    throw make_error(ErrorKind::corrupt, "{}: the checksum of its EROFS superblock is wrong", name);
  }
  super.size_bytes = uint64_t{raw.blocks_lo} << raw.blkszbits;
  super.meta_offset = uint64_t{raw.meta_blkaddr} << raw.blkszbits;
  super.xattr_offset = uint64_t{raw.xattr_blkaddr} << raw.blkszbits;
  super.epoch = static_cast<int64_t>(raw.epoch);
  super.root_nid = raw.root_nid;
  super.inodes = raw.inos;
  super.extra_devices = (raw.feature_incompat & kIncompatDeviceTable) != 0 ? raw.extra_devices : 0;
  super.device_table_offset = raw.devt_slotoff * kDeviceSlotSize;
  return super;
}

ExtraDevice parse_device_slot(Bytes slot, uint32_t block_size) {
  const auto raw = load_le<DeviceSlot>(slot.data());
  return {.offset_bytes = (uint64_t{raw.uniaddr_hi} << 32 | raw.uniaddr_lo) * block_size,
          .size_bytes = (uint64_t{raw.blocks_hi} << 32 | raw.blocks_lo) * block_size};
}

}  // namespace erofs_oci::erofs
