// SPDX-License-Identifier: Apache-2.0
#include "erofs/reader.h"

#include <algorithm>
#include <array>
#include <vector>

#include "base/byte_range.h"
#include "base/error.h"

namespace erofs_oci::erofs {
namespace {

/// A directory of more bytes than this is not one (10 million entries of 25-byte names).
constexpr uint64_t kMaxDirectory = 400 * kMiB;

}  // namespace

Reader::Reader(std::string name, uint64_t metadata_size, ReadAt read_at)
    : name_(std::move(name)), metadata_size_(metadata_size), read_at_(std::move(read_at)) {
  std::vector<std::byte> start(std::min(metadata_size_, kSuperBytes));
  read(0, start);
  super_ = parse_super(start, name_);
}

ExtraDevice Reader::extra_device() const {
  if (super_.extra_devices != 1) {
    throw make_error(ErrorKind::corrupt, "{}: is not a tarindex: it has {} extra devices where 1 is the layer", name_,
                     super_.extra_devices);
  }
  std::array<std::byte, kDeviceSlotSize> slot;
  read(super_.device_table_offset, slot);
  return parse_device_slot(slot, super_.block_size);
}

Inode Reader::inode(uint64_t nid) const {
  if (nid > metadata_size_ / kInodeAlignment) corrupt(fmt::format("inode {} lies outside of it", nid));
  const uint64_t offset = super_.inode_offset(nid);
  std::array<std::byte, sizeof(ExtendedInode)> raw{};
  read(offset, MutableBytes(raw).first(sizeof(CompactInode)));
  const auto compact = load_le<CompactInode>(raw.data());
  Inode inode{.nid = nid, .mode = compact.mode, .layout = static_cast<Layout>(compact.format >> 1 & 7)};
  uint64_t inode_size = sizeof(CompactInode);
  if ((compact.format & kInodeExtended) != 0) {
    read(offset, raw);
    const auto extended = load_le<ExtendedInode>(raw.data());
    inode_size = sizeof(ExtendedInode);
    inode.nlink = extended.nlink;
    inode.size = extended.size;
    inode.u = extended.u;
  } else {
    inode.nlink = compact.nlink;
    inode.size = compact.size;
    inode.u = compact.u;
  }
  inode.data_offset = offset + inode_size + xattr_size(compact.xattr_icount);
  return inode;
}

void Reader::list(const Inode& directory, const std::function<bool(const Entry&)>& visit) const {
  if (directory.size > kMaxDirectory) corrupt(fmt::format("directory {} is too large", directory.nid));
  if (directory.layout != Layout::flat_plain && directory.layout != Layout::flat_inline) {
    corrupt(fmt::format("directory {} has an unknown layout", directory.nid));
  }
  const bool tail_inline = directory.layout == Layout::flat_inline;
  std::vector<std::byte> block;
  for (uint64_t done = 0; done < directory.size; done += block.size()) {
    block.resize(std::min<uint64_t>(super_.block_size, directory.size - done));
    const bool is_tail = tail_inline && directory.size - done <= super_.block_size;
    const uint64_t start = uint64_t{directory.u} * super_.block_size;
    read(is_tail ? directory.data_offset : start + done, block);
    if (!list_block(block, visit)) return;
  }
}

bool Reader::list_block(Bytes block, const std::function<bool(const Entry&)>& visit) const {
  if (block.size() < sizeof(DirEntry)) corrupt("a directory block is too short");
  const size_t names = load_le<DirEntry>(block.data()).nameoff;
  if (names == 0 || names % sizeof(DirEntry) != 0 || names >= block.size()) corrupt("a directory block is damaged");
  const size_t count = names / sizeof(DirEntry);
  for (size_t i = 0; i < count; ++i) {
    const auto entry = load_le<DirEntry>(block.data() + i * sizeof(DirEntry));
    const size_t end = i + 1 < count ? load_le<DirEntry>(block.data() + (i + 1) * sizeof(DirEntry)).nameoff : block.size();
    if (entry.nameoff < names || entry.nameoff >= end || end > block.size()) corrupt("a directory entry is damaged");
    std::string_view name = as_text(block.subspan(entry.nameoff, end - entry.nameoff));
    name = name.substr(0, name.find('\0'));
    if (!visit({entry.nid, name})) return false;
  }
  return true;
}

std::optional<uint64_t> Reader::first_chunk(const Inode& file) const {
  if (file.layout != Layout::chunk_based || file.size == 0) return std::nullopt;
  if ((file.u & kChunkIndexes) == 0) corrupt(fmt::format("file {} has no chunk indexes", file.nid));
  std::array<std::byte, sizeof(ChunkIndex)> raw;
  read(round_up(file.data_offset, sizeof(ChunkIndex)), raw);
  const auto chunk = load_le<ChunkIndex>(raw.data());
  if (chunk.startblk_lo == kNullAddress) return std::nullopt;
  if (chunk.device_id != 1) corrupt(fmt::format("file {} lies on device {}", file.nid, chunk.device_id));
  // The upper half is only in use with the 48-bit layout, which tarindexes do not have.
  return uint64_t{chunk.startblk_lo} * super_.block_size;
}

void Reader::read(uint64_t offset, MutableBytes out) const {
  if (!ByteRange{offset, out.size()}.fits_in(metadata_size_)) {
    corrupt(fmt::format("it points to byte {}, but has {}; was it truncated?", offset, metadata_size_));
  }
  read_at_(offset, out);
}

void Reader::corrupt(const std::string& what) const {
  throw make_error(ErrorKind::corrupt, "{}: is not a usable EROFS image: {}", name_, what);
}

}  // namespace erofs_oci::erofs
