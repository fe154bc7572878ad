// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>

#include "base/bytes.h"
#include "erofs/tree.h"

namespace erofs_oci::erofs {

/// Where files' data is.
enum class DataArea {
  behind_metadata,  ///< in blocks that follow the metadata; each file contiguous, holes and all (FLAT_PLAIN). Its
                    ///< first byte is at data[0].address - data[0].file_offset, or at Node::address where it has no
                    ///< data; that is a multiple of the block size. What else FileData say is not looked at
  extra_device,     ///< on device 1, found by chunk indexes
};

struct WriteOptions {
  uint32_t block_size = 4096;  ///< 512 or 4096
  DataArea data_area = DataArea::behind_metadata;
  uint64_t data_size = 0;  ///< of the data area, rounded up to blocks; goes into the device slot or the block count
  int64_t epoch = 0;       ///< seconds; the superblock's build time. Nodes of exactly this time need less room
  std::array<std::byte, 16> uuid{};
};

class MetadataLayout;

/// Lays a tree out as EROFS metadata. The same tree and options give the same bytes. One thread at a time.
class Writer {
 public:
  /// Assigns every inode and directory block its place. Error unsupported, naming the path, for what EROFS cannot
  /// hold. `tree` must outlive the writer. A sparse file may cost many times what it takes to describe it: where a
  /// tree comes from strangers, look at metadata_size() before write().
  Writer(const Tree& tree, const WriteOptions& options);
  ~Writer();

  /// Whole blocks. The data area of an image begins here.
  uint64_t metadata_size() const;
  uint64_t inode_count() const;

  /// Gives the metadata in pieces of at most 64 KiB, in order.
  void write(const std::function<void(Bytes)>& sink) const;

 private:
  std::unique_ptr<const MetadataLayout> layout_;
};

}  // namespace erofs_oci::erofs
