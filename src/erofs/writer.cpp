// SPDX-License-Identifier: Apache-2.0
#include "erofs/writer.h"

#include <sys/stat.h>

#include <algorithm>
#include <bit>
#include <cassert>

#include "erofs/dir_block.h"
#include "erofs/layout.h"
#include "erofs/piece_writer.h"
#include "erofs/super_block.h"

namespace erofs_oci::erofs {
namespace {

constexpr uint16_t kDeviceSlot = (kSuperOffset + sizeof(SuperBlock)) / kDeviceSlotSize;

FileType file_type(uint16_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return FileType::regular;
    case S_IFDIR:
      return FileType::directory;
    case S_IFCHR:
      return FileType::character_device;
    case S_IFBLK:
      return FileType::block_device;
    case S_IFIFO:
      return FileType::fifo;
    case S_IFSOCK:
      return FileType::socket;
    case S_IFLNK:
      return FileType::symlink;
    default:
      return FileType::unknown;
  }
}

/// The kernel's new_encode_dev().
uint32_t encode_device(uint32_t major, uint32_t minor) {
  return (minor & 0xff) | major << 8 | (minor & ~0xffu) << 12;
}

uint16_t inode_format(const InodeShape& shape) {
  return static_cast<uint16_t>((shape.extended ? kInodeExtended : 0) | static_cast<uint16_t>(shape.layout)
                                                                           << 1);
}

/// Writes one layout. Lives as long as a call of Writer::write.
class MetadataWriter {
 public:
  MetadataWriter(const MetadataLayout& layout, const std::function<void(Bytes)>& sink)
      : layout_(layout),
        options_(layout.options()),
        out_(sink, [this](MutableBytes first) { add_checksum(first); }) {}

  void write() {
    write_super();
    if (has_device()) write_device_slot();
    for (const auto& item : layout_.items()) {
      out_.pad_to(item.slot * kInodeAlignment);
      if (item.node == MetadataLayout::kSharedXattrs) {
        layout_.xattrs().write_shared([this](Bytes bytes) { out_.append(bytes); });
      } else {
        write_inode(item.node);
      }
    }
    for (const NodeId owner : layout_.block_owners()) write_blocks(owner);
    out_.pad_to(layout_.metadata_blocks() * options_.block_size);
    out_.finish();
  }

 private:
  /// Not of small blocks: fsck.erofs of erofs-utils 1.8 (Debian 13) crashes when it verifies such a checksum, and
  /// mkfs.erofs of that version writes none.
  bool has_checksum() const { return options_.block_size > kSuperOffset; }
  bool has_device() const { return options_.data_area == DataArea::extra_device; }
  const Node& node(NodeId id) const { return layout_.tree().nodes[id]; }
  /// The shared xattrs need not begin a block; their numbers count from the block's begin.
  uint64_t shared_offset() const { return layout_.shared_xattr_offset() % options_.block_size; }

  void write_super();
  void write_device_slot();
  void add_checksum(MutableBytes first) const;
  void write_inode(NodeId id);
  CompactInode compact_inode(NodeId id, const InodeShape& shape) const;
  ExtendedInode extended_inode(NodeId id, const InodeShape& shape) const;
  uint32_t inode_u(NodeId id, const InodeShape& shape) const;
  void write_blocks(NodeId id);
  void write_content(NodeId id, uint64_t from, uint64_t to);
  void write_directory(NodeId id, const DirectoryBlocks::Sink& sink) const;

  const MetadataLayout& layout_;
  const WriteOptions& options_;
  PieceWriter out_;
  uint32_t inodes_ = 0;
};

void MetadataWriter::write_super() {
  const uint64_t blocks = layout_.metadata_blocks() + (has_device() ? 0 : layout_.data_blocks());
  SuperBlock super{
      .magic = kSuperMagic,
      .feature_compat = (has_checksum() ? kCompatSbChecksum : 0) | kCompatMtime |
                        (layout_.xattrs().empty() ? 0 : kCompatXattrFilter),
      .blkszbits = static_cast<uint8_t>(std::countr_zero(options_.block_size)),
      .root_nid = static_cast<uint16_t>(layout_.nid(0)),
      .inos = layout_.walk().order().size(),
      .epoch = static_cast<uint64_t>(options_.epoch),
      .blocks_lo = static_cast<uint32_t>(blocks),
      .xattr_blkaddr = static_cast<uint32_t>(layout_.shared_xattr_offset() / options_.block_size),
  };
  std::memcpy(super.uuid, options_.uuid.data(), sizeof super.uuid);
  if (has_device()) {
    super.feature_incompat = kIncompatDeviceTable;
    super.extra_devices = 1;
    super.devt_slotoff = kDeviceSlot;
  }
  out_.pad_to(kSuperOffset);
  out_.append_raw(super);
}

void MetadataWriter::write_device_slot() {
  assert(out_.offset() == kDeviceSlot * kDeviceSlotSize);
  out_.append_raw(DeviceSlot{.blocks_lo = static_cast<uint32_t>(layout_.data_blocks()),
                             .uniaddr_lo = static_cast<uint32_t>(layout_.metadata_blocks())});
}

void MetadataWriter::add_checksum(MutableBytes first) const {
  if (!has_checksum()) return;
  store_le(first.data() + kSuperOffset + offsetof(SuperBlock, checksum),
           super_checksum(first, options_.block_size));
}

void MetadataWriter::write_inode(NodeId id) {
  const InodeShape shape = layout_.shape(id);
  ++inodes_;
  if (shape.extended) {
    out_.append_raw(extended_inode(id, shape));
  } else {
    out_.append_raw(compact_inode(id, shape));
  }
  out_.append(layout_.xattrs().body(node(id).xattrs, shared_offset()));
  if (shape.chunks > 0) {
    out_.pad_to(round_up(out_.offset(), sizeof(ChunkIndex)));
    layout_.chunks(id).for_each([this](const ChunkIndex& index) { out_.append_raw(index); });
  }
  if (shape.tail > 0) write_content(id, shape.blocks, shape.blocks + 1);
}

CompactInode MetadataWriter::compact_inode(NodeId id, const InodeShape& shape) const {
  return {.format = inode_format(shape),
          .xattr_icount = xattr_icount(shape.xattr_size),
          .mode = node(id).mode,
          .nlink = static_cast<uint16_t>(layout_.walk().links(id)),
          .size = static_cast<uint32_t>(shape.size),
          .u = inode_u(id, shape),
          .ino = inodes_,
          .uid = static_cast<uint16_t>(node(id).uid),
          .gid = static_cast<uint16_t>(node(id).gid)};
}

ExtendedInode MetadataWriter::extended_inode(NodeId id, const InodeShape& shape) const {
  return {.format = inode_format(shape),
          .xattr_icount = xattr_icount(shape.xattr_size),
          .mode = node(id).mode,
          .size = shape.size,
          .u = inode_u(id, shape),
          .ino = inodes_,
          .uid = node(id).uid,
          .gid = node(id).gid,
          .mtime = static_cast<uint64_t>(node(id).mtime),
          .mtime_nsec = node(id).mtime_nanoseconds,
          .nlink = layout_.walk().links(id)};
}

uint32_t MetadataWriter::inode_u(NodeId id, const InodeShape& shape) const {
  const uint16_t mode = node(id).mode;
  if (S_ISCHR(mode) || S_ISBLK(mode)) return encode_device(node(id).device_major, node(id).device_minor);
  if (shape.chunks > 0) return layout_.chunks(id).format();
  if (shape.blocks > 0) return static_cast<uint32_t>(layout_.first_block(id));
  if (S_ISREG(mode) && shape.size > 0) return static_cast<uint32_t>(layout_.data_block(id));
  return S_ISFIFO(mode) || S_ISSOCK(mode) ? 0 : kNullAddress;
}

void MetadataWriter::write_blocks(NodeId id) {
  out_.pad_to(layout_.first_block(id) * options_.block_size);
  write_content(id, 0, layout_.shape(id).blocks);
}

/// Blocks [from, to) of a directory or symlink; the last one of it is as long as its content.
void MetadataWriter::write_content(NodeId id, uint64_t from, uint64_t to) {
  if (S_ISDIR(node(id).mode)) {
    write_directory(id, [&](uint64_t number, Bytes block) {
      if (from <= number && number < to) out_.append(block);
    });
    return;
  }
  const Bytes target =
      as_bytes(node(id).target).first(std::min<size_t>(node(id).target.size(), to * options_.block_size));
  out_.append(target.subspan(from * options_.block_size));
}

void MetadataWriter::write_directory(NodeId id, const DirectoryBlocks::Sink& sink) const {
  DirectoryBlocks blocks(options_.block_size, sink);
  for_each_entry(node(id), id, layout_.walk().parent(id), [&](std::string_view name, NodeId child) {
    blocks.add(name, layout_.nid(child), file_type(node(child).mode));
  });
  blocks.finish();
}

}  // namespace

Writer::Writer(const Tree& tree, const WriteOptions& options)
    : layout_(std::make_unique<const MetadataLayout>(tree, options)) {}

Writer::~Writer() = default;

uint64_t Writer::metadata_size() const {
  return layout_->metadata_blocks() * layout_->options().block_size;
}

uint64_t Writer::inode_count() const {
  return layout_->walk().order().size();
}

void Writer::write(const std::function<void(Bytes)>& sink) const {
  MetadataWriter(*layout_, sink).write();
}

}  // namespace erofs_oci::erofs
