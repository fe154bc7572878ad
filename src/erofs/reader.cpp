// SPDX-License-Identifier: Apache-2.0
#include "erofs/reader.h"

#include <algorithm>
#include <array>
#include <bit>
#include <vector>

#include "base/byte_range.h"
#include "base/error.h"
#include "erofs/xattr_name.h"

namespace erofs_oci::erofs {
namespace {

/// A directory of more bytes than this is not one (10 million entries of 25-byte names).
constexpr uint64_t kMaxDirectory = 400 * kMiB;
constexpr uint64_t kMaxTarget = 4096;

void append_piece(std::vector<FileData>& pieces, const FileData& next) {
  if (!pieces.empty()) {
    FileData& last = pieces.back();
    if (last.file_offset + last.length == next.file_offset && last.address + last.length == next.address) {
      last.length += next.length;
      return;
    }
  }
  pieces.push_back(next);
}

}  // namespace

Reader::Reader(std::string name, uint64_t metadata_size, ReadAt read_at)
    : name_(std::move(name)), metadata_size_(metadata_size), read_at_(std::move(read_at)) {
  std::vector<std::byte> start(std::min(metadata_size_, kSuperBytes));
  read(0, start);
  super_ = parse_super(start, name_);
}

ExtraDevice Reader::extra_device() const {
  if (super_.extra_devices != 1) {
    throw make_error(ErrorKind::corrupt,
                     "{}: is not a tarindex: it has {} extra devices where 1 is the layer", name_,
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
    inode.uid = extended.uid;
    inode.gid = extended.gid;
    inode.mtime = static_cast<int64_t>(extended.mtime);
    inode.mtime_nanoseconds = extended.mtime_nsec;
    inode.extended = true;
  } else {
    inode.nlink = compact.nlink;
    inode.size = compact.size;
    inode.u = compact.u;
    inode.uid = compact.uid;
    inode.gid = compact.gid;
    inode.mtime = super_.epoch;
  }
  inode.xattr_offset = offset + inode_size;
  inode.data_offset = inode.xattr_offset + xattr_size(compact.xattr_icount);
  return inode;
}

void Reader::list(const Inode& directory, const std::function<bool(const Entry&)>& visit) const {
  if (directory.size > kMaxDirectory) corrupt(fmt::format("directory {} is too large", directory.nid));
  std::vector<std::byte> block;
  for (uint64_t done = 0; done < directory.size; done += block.size()) {
    block.resize(std::min<uint64_t>(super_.block_size, directory.size - done));
    read_flat(directory, done, block);
    if (!list_block(block, visit)) return;
  }
}

/// A part of one block of a directory or symlink.
void Reader::read_flat(const Inode& inode, uint64_t offset, MutableBytes out) const {
  if (inode.layout != Layout::flat_plain && inode.layout != Layout::flat_inline) {
    corrupt(fmt::format("inode {} has an unknown layout", inode.nid));
  }
  const bool in_last_block = inode.size - offset <= super_.block_size;
  const bool is_inline = inode.layout == Layout::flat_inline && in_last_block;
  read(is_inline ? inode.data_offset : uint64_t{inode.u} * super_.block_size + offset, out);
}

bool Reader::list_block(Bytes block, const std::function<bool(const Entry&)>& visit) const {
  if (block.size() < sizeof(DirEntry)) corrupt("a directory block is too short");
  const size_t names = load_le<DirEntry>(block.data()).nameoff;
  if (names == 0 || names % sizeof(DirEntry) != 0 || names >= block.size())
    corrupt("a directory block is damaged");
  const size_t count = names / sizeof(DirEntry);
  for (size_t i = 0; i < count; ++i) {
    const auto entry = load_le<DirEntry>(block.data() + i * sizeof(DirEntry));
    const size_t end =
        i + 1 < count ? load_le<DirEntry>(block.data() + (i + 1) * sizeof(DirEntry)).nameoff : block.size();
    if (entry.nameoff < names || entry.nameoff >= end || end > block.size())
      corrupt("a directory entry is damaged");
    std::string_view name = as_text(block.subspan(entry.nameoff, end - entry.nameoff));
    name = name.substr(0, name.find('\0'));
    if (!visit({entry.nid, name})) return false;
  }
  return true;
}

std::string Reader::symlink_target(const Inode& symlink) const {
  if (symlink.size > kMaxTarget) corrupt(fmt::format("the target of symlink {} is too long", symlink.nid));
  std::string target(symlink.size, '\0');
  for (uint64_t done = 0; done < target.size(); done += super_.block_size) {
    const auto piece = std::min<uint64_t>(super_.block_size, target.size() - done);
    read_flat(symlink, done, std::as_writable_bytes(std::span(target)).subspan(done, piece));
  }
  return target;
}

std::vector<Xattr> Reader::xattrs(const Inode& inode) const {
  std::vector<Xattr> xattrs;
  const uint64_t end = inode.data_offset;
  uint64_t at = inode.xattr_offset;
  if (at == end) return xattrs;
  const auto header = read_raw<XattrHeader>(at);
  at += sizeof header;
  if (header.shared_count * sizeof(uint32_t) > end - at)
    corrupt(fmt::format("xattrs of {} are damaged", inode.nid));
  const auto add = [&](std::optional<Xattr> xattr) {
    if (xattr) xattrs.push_back(std::move(*xattr));
  };
  for (unsigned i = 0; i < header.shared_count; ++i, at += sizeof(uint32_t)) {
    uint64_t shared = super_.xattr_offset + read_raw<uint32_t>(at) * kXattrAlignment;
    add(read_xattr(shared, metadata_size_));
  }
  while (at < end) add(read_xattr(at, end));
  std::sort(xattrs.begin(), xattrs.end());
  return xattrs;
}

/// The entry at `at`, which ends before `end`; moves `at` behind it.
std::optional<Xattr> Reader::read_xattr(uint64_t& at, uint64_t end) const {
  const auto entry = read_raw<XattrEntry>(at);
  const uint64_t name_at = at + sizeof entry;
  const uint64_t length = uint64_t{entry.name_len} + entry.value_size;
  if (!ByteRange{name_at, length}.fits_in(end)) corrupt(fmt::format("an xattr at byte {} is damaged", at));
  at = round_up(name_at + length, kXattrAlignment);
  const auto prefix = xattr_prefix(entry.name_index);
  if (!prefix) return std::nullopt;
  std::string text(length, '\0');
  read(name_at, std::as_writable_bytes(std::span(text)));
  return Xattr{std::string(*prefix) + text.substr(0, entry.name_len), text.substr(entry.name_len)};
}

ChunkIndex Reader::chunk(const Inode& file, uint64_t number) const {
  if ((file.u & kChunkIndexes) == 0) corrupt(fmt::format("file {} has no chunk indexes", file.nid));
  const auto chunk =
      read_raw<ChunkIndex>(round_up(file.data_offset, sizeof(ChunkIndex)) + number * sizeof(ChunkIndex));
  if (chunk.startblk_lo != kNullAddress && chunk.device_id != 1) {
    corrupt(fmt::format("file {} lies on device {}", file.nid, chunk.device_id));
  }
  return chunk;
}

std::optional<uint64_t> Reader::first_chunk(const Inode& file) const {
  if (file.layout != Layout::chunk_based || file.size == 0) return std::nullopt;
  const ChunkIndex first = chunk(file, 0);
  if (first.startblk_lo == kNullAddress) return std::nullopt;
  // The upper half is only in use with the 48-bit layout, which tarindexes do not have.
  return uint64_t{first.startblk_lo} * super_.block_size;
}

std::vector<FileData> Reader::data(const Inode& file) const {
  std::vector<FileData> pieces;
  if (file.layout == Layout::flat_plain && file.size > 0) {
    pieces.push_back({.address = uint64_t{file.u} * super_.block_size, .length = file.size});
  }
  if (file.layout != Layout::chunk_based) return pieces;
  if (file.size > INT64_MAX) corrupt(fmt::format("file {} is too large", file.nid));
  const int chunk_bits = std::countr_zero(super_.block_size) + (file.u & kChunkBitsMask);
  for (uint64_t i = 0; i << chunk_bits < file.size; ++i) {
    const ChunkIndex index = chunk(file, i);
    if (index.startblk_lo == kNullAddress) continue;
    const uint64_t offset = i << chunk_bits;
    const uint64_t length = std::min(uint64_t{1} << chunk_bits, file.size - offset);
    append_piece(pieces, {offset, uint64_t{index.startblk_lo} * super_.block_size, length});
  }
  return pieces;
}

template <typename T>
T Reader::read_raw(uint64_t offset) const {
  T value;
  read(offset, std::as_writable_bytes(std::span(&value, 1)));
  return value;
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
