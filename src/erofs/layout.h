// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "erofs/chunk_map.h"
#include "erofs/ondisk.h"
#include "erofs/slot_allocator.h"
#include "erofs/tree_walk.h"
#include "erofs/writer.h"
#include "erofs/xattr_table.h"

namespace erofs_oci::erofs {

/// What an inode takes, and how its content is kept.
struct InodeShape {
  Layout layout = Layout::flat_plain;
  bool extended = false;
  uint64_t size = 0;  ///< i_size
  uint64_t xattr_size = 0;
  uint64_t blocks = 0;  ///< of a directory or symlink, outside the inode area
  uint64_t tail = 0;    ///< bytes of content behind the inode
  uint64_t chunks = 0;

  uint64_t inode_size() const { return extended ? sizeof(ExtendedInode) : sizeof(CompactInode); }
  /// All that stands together in the inode area.
  uint64_t bytes() const;
};

/// The places of everything in the metadata: superblock and device slot, the inode area, whole blocks of
/// directories and symlinks. Immutable.
class MetadataLayout {
 public:
  /// As Writer's constructor.
  MetadataLayout(const Tree& tree, const WriteOptions& options);

  /// In the inode area: an inode, or the shared xattrs.
  struct Item {
    uint32_t slot;
    NodeId node;
  };
  static constexpr NodeId kSharedXattrs = UINT32_MAX;

  const Tree& tree() const { return tree_; }
  const WriteOptions& options() const { return options_; }
  const TreeWalk& walk() const { return walk_; }
  const XattrTable& xattrs() const { return xattrs_; }

  /// Sorted by place; the root's inode comes before kSharedXattrs.
  const std::vector<Item>& items() const { return items_; }
  /// Nodes with blocks of their own, in the blocks' order.
  const std::vector<NodeId>& block_owners() const { return block_owners_; }
  uint64_t nid(NodeId node) const { return slots_[node]; }
  /// Of a node with blocks of its own.
  uint64_t first_block(NodeId node) const { return inode_blocks_ + blocks_[node]; }
  uint64_t metadata_blocks() const { return inode_blocks_ + own_blocks_; }
  uint64_t data_blocks() const;
  uint64_t shared_xattr_offset() const { return shared_slot_ * kInodeAlignment; }
  /// The first block of a regular file behind the metadata.
  uint64_t data_block(NodeId file) const;

  InodeShape shape(NodeId node) const;
  /// Of a regular file with a size, on an extra device.
  ChunkMap chunks(NodeId file) const;

 private:
  void place_inodes();
  void place(NodeId node, SlotAllocator& allocator);
  void place_shared_xattrs(SlotAllocator& allocator);
  void check_limits() const;
  void shape_content(InodeShape& shape) const;
  void shape_file(NodeId node, InodeShape& shape) const;
  uint64_t directory_size(NodeId node) const;
  uint64_t symlink_size(NodeId node) const;
  void check_address(NodeId file) const;
  void check_special(NodeId node) const;

  const Tree& tree_;
  const WriteOptions options_;
  const TreeWalk walk_;
  const XattrTable xattrs_;
  std::vector<uint32_t> slots_;   // by node: its nid
  std::vector<uint32_t> blocks_;  // by node: its first own block, counted from the end of the inode area
  std::vector<Item> items_;
  std::vector<NodeId> block_owners_;
  uint64_t shared_slot_ = 0;
  uint64_t inode_blocks_ = 0;  // superblock and all
  uint64_t own_blocks_ = 0;
};

}  // namespace erofs_oci::erofs
