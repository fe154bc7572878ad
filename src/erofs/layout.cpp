// SPDX-License-Identifier: Apache-2.0
#include "erofs/layout.h"

#include <sys/stat.h>

#include <algorithm>
#include <cassert>
#include <limits>

#include "base/byte_range.h"
#include "erofs/dir_block.h"

namespace erofs_oci::erofs {
namespace {

constexpr uint64_t kMaxSymlink = 4095;        // the kernel's PATH_MAX, and a page with its NUL
constexpr uint64_t kMaxFileSize = INT64_MAX;  // loff_t
constexpr uint64_t kMaxXattrSize = xattr_size(UINT16_MAX);
constexpr uint64_t kMaxBlocks = UINT32_MAX;  // of a device; more needs Linux 6.15
constexpr uint64_t kMaxSlot = UINT32_MAX;
constexpr uint32_t kMaxMajor = (1u << 12) - 1;  // the kernel's dev_t
constexpr uint32_t kMaxMinor = (1u << 20) - 1;

uint64_t first_slot(const WriteOptions& options) {
  const bool has_slot = options.data_area == DataArea::extra_device;
  return (kSuperOffset + sizeof(SuperBlock) + (has_slot ? kDeviceSlotSize : 0)) / kInodeAlignment;
}

bool needs_extended(const Node& node, uint32_t links, uint64_t size, int64_t epoch) {
  constexpr uint32_t kMax16 = std::numeric_limits<uint16_t>::max();
  return node.uid > kMax16 || node.gid > kMax16 || links > kMax16 ||
         size > std::numeric_limits<uint32_t>::max() || node.mtime != epoch || node.mtime_nanoseconds != 0;
}

/// How many inodes have each set of xattrs.
std::vector<uint32_t> count_xattr_users(const Tree& tree, const TreeWalk& walk) {
  std::vector<uint32_t> users(tree.xattr_sets.size());
  for (const NodeId node : walk.order()) {
    const uint32_t set = tree.nodes[node].xattrs;
    assert(set < users.size());
    if (users[set]++ > 0) continue;
    for (const auto& [name, value] : tree.xattr_sets[set]) {
      if (!can_store_xattr(name, value)) throw walk.unsupported(node, "EROFS cannot hold its xattr " + name);
    }
  }
  return users;
}

/// Where a file's first byte is behind the metadata.
uint64_t first_byte(const Node& file) {
  return file.data.empty() ? file.address : file.data[0].address - file.data[0].file_offset;
}

}  // namespace

uint64_t InodeShape::bytes() const {
  const uint64_t head = inode_size() + xattr_size;
  return chunks == 0 ? head + tail : round_up(head, sizeof(ChunkIndex)) + chunks * sizeof(ChunkIndex);
}

MetadataLayout::MetadataLayout(const Tree& tree, const WriteOptions& options)
    : tree_(tree),
      options_(options),
      walk_(tree),
      xattrs_(tree.xattr_sets, count_xattr_users(tree, walk_)),
      slots_(tree.nodes.size()),
      blocks_(tree.nodes.size()) {
  assert(options.block_size == 512 || options.block_size == 4096);
  place_inodes();
  std::sort(items_.begin(), items_.end(), [](Item left, Item right) { return left.slot < right.slot; });
  check_limits();
}

void MetadataLayout::place_inodes() {
  SlotAllocator allocator(options_.block_size, first_slot(options_));
  items_.reserve(walk_.order().size() + 1);
  for (const NodeId node : walk_.order()) {
    place(node, allocator);
    // The root comes first: its number has 16 bits.
    if (node == 0 && xattrs_.shared_size() > 0) place_shared_xattrs(allocator);
  }
  inode_blocks_ = round_up(allocator.end() * kInodeAlignment, options_.block_size) / options_.block_size;
}

void MetadataLayout::place(NodeId node, SlotAllocator& allocator) {
  const InodeShape shape = this->shape(node);
  const uint64_t count = round_up(shape.bytes(), kInodeAlignment) / kInodeAlignment;
  const uint64_t slot = allocator.allocate(count, shape.layout == Layout::flat_inline);
  if (slot > kMaxSlot || own_blocks_ > kMaxBlocks)
    throw walk_.unsupported(node, "the file tree is too large");
  slots_[node] = static_cast<uint32_t>(slot);
  items_.push_back({static_cast<uint32_t>(slot), node});
  if (shape.blocks == 0) return;
  blocks_[node] = static_cast<uint32_t>(own_blocks_);
  own_blocks_ += shape.blocks;
  block_owners_.push_back(node);
}

void MetadataLayout::place_shared_xattrs(SlotAllocator& allocator) {
  const uint64_t count = round_up(xattrs_.shared_size(), kInodeAlignment) / kInodeAlignment;
  shared_slot_ = allocator.allocate(count, false);
  items_.push_back({static_cast<uint32_t>(shared_slot_), kSharedXattrs});
}

uint64_t MetadataLayout::data_blocks() const {
  return round_up(options_.data_size, options_.block_size) / options_.block_size;
}

void MetadataLayout::check_limits() const {
  const bool is_image = options_.data_area == DataArea::behind_metadata;
  const uint64_t primary = metadata_blocks() + (is_image ? data_blocks() : 0);
  if (primary > kMaxBlocks || data_blocks() > kMaxBlocks) {
    throw make_error(ErrorKind::unsupported, "the image has more than 2^32 blocks of {} bytes",
                     options_.block_size);
  }
}

InodeShape MetadataLayout::shape(NodeId id) const {
  const Node& node = tree_.nodes[id];
  const bool is_directory = S_ISDIR(node.mode);
  InodeShape shape;
  if (is_directory) shape.size = directory_size(id);
  if (S_ISLNK(node.mode)) shape.size = symlink_size(id);
  if (S_ISREG(node.mode)) shape.size = node.size;
  shape.extended = needs_extended(node, walk_.links(id), shape.size, options_.epoch);
  shape.xattr_size = xattrs_.body_size(node.xattrs);
  if (shape.xattr_size > kMaxXattrSize) throw walk_.unsupported(id, "its xattrs are larger than 256 KiB");
  if (is_directory || S_ISLNK(node.mode)) {
    shape_content(shape);
  } else if (S_ISREG(node.mode)) {
    shape_file(id, shape);
  } else {
    check_special(id);
  }
  return shape;
}

/// The content of a directory or symlink: its tail behind the inode in the same block, if there is room for
/// it.
void MetadataLayout::shape_content(InodeShape& shape) const {
  const uint64_t tail = shape.size % options_.block_size;
  shape.blocks = shape.size / options_.block_size;
  if (tail == 0) return;
  if (shape.inode_size() + shape.xattr_size + tail <= options_.block_size) {
    shape.layout = Layout::flat_inline;
    shape.tail = tail;
  } else {
    ++shape.blocks;
  }
}

void MetadataLayout::shape_file(NodeId id, InodeShape& shape) const {
  if (shape.size > kMaxFileSize) throw walk_.unsupported(id, "it is larger than 8 EiB");
  if (shape.size == 0) return;
  if (options_.data_area == DataArea::behind_metadata) return check_address(id);
  shape.layout = Layout::chunk_based;
  shape.chunks = chunks(id).count();
}

ChunkMap MetadataLayout::chunks(NodeId file) const {
  try {
    return ChunkMap(tree_.nodes[file], options_.block_size);
  } catch (const Error& error) {  // with_context() would put together the path of every file
    throw error.within(walk_.path(file));
  }
}

void MetadataLayout::check_address(NodeId file) const {
  const uint64_t address = first_byte(tree_.nodes[file]);
  if (address % options_.block_size != 0) {
    throw walk_.unsupported(
        file, fmt::format("its data at {} does not begin a block of {} bytes", address, options_.block_size));
  }
  if (!ByteRange{address, tree_.nodes[file].size}.fits_in(data_blocks() * options_.block_size)) {
    throw make_error(ErrorKind::invalid, "{}: its data at {} goes beyond the image's data of {} bytes",
                     walk_.path(file), address, options_.data_size);
  }
}

uint64_t MetadataLayout::data_block(NodeId file) const {
  return metadata_blocks() + first_byte(tree_.nodes[file]) / options_.block_size;
}

uint64_t MetadataLayout::directory_size(NodeId id) const {
  DirectorySize size(options_.block_size);
  for_each_entry(tree_.nodes[id], id, walk_.parent(id),
                 [&](std::string_view name, NodeId) { size.add(name.size()); });
  return size.bytes();
}

uint64_t MetadataLayout::symlink_size(NodeId id) const {
  const uint64_t size = tree_.nodes[id].target.size();
  if (size == 0 || size > kMaxSymlink) {
    throw walk_.unsupported(
        id, fmt::format("the target of a symlink has 1 to {} bytes, not {}", kMaxSymlink, size));
  }
  return size;
}

void MetadataLayout::check_special(NodeId id) const {
  const Node& node = tree_.nodes[id];
  if (S_ISFIFO(node.mode) || S_ISSOCK(node.mode)) return;
  if (!S_ISCHR(node.mode) && !S_ISBLK(node.mode)) {
    throw walk_.unsupported(id, fmt::format("mode {:o} is of no type of file", node.mode));
  }
  if (node.device_major > kMaxMajor || node.device_minor > kMaxMinor) {
    throw walk_.unsupported(id,
                            fmt::format("Linux has no device {}:{}", node.device_major, node.device_minor));
  }
}

}  // namespace erofs_oci::erofs
