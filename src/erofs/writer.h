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
  behind_metadata,  ///< in blocks that follow the metadata; each file contiguous, holes and all, from `address` of its
                    ///< first byte on (FLAT_PLAIN): what FileData say beyond data[0].address - data[0].file_offset is not
                    ///< looked at
  extra_device,     ///< on device 1, found by chunk indexes
};

struct WriteOptions {
  uint32_t block_size = 4096;  ///< 512 or 4096
  DataArea data_area = DataArea::behind_metadata;
  uint64_t data_size = 0;  ///< of the data area, rounded up to blocks; goes into the device slot or the block count
  int64_t epoch = 0;       ///< seconds; the superblock's build time. Nodes of exactly this time need less room
  std::array<std::byte, 16> uuid{};
};

/// Lays a tree out as EROFS metadata. The same tree and options give the same bytes. One thread at a time.
class Writer {
 public:
  /// Assigns every inode and directory block its place. Error unsupported, naming the path, for what EROFS cannot hold.
  /// `tree` must outlive the writer.
  Writer(const Tree& tree, const WriteOptions& options);
  ~Writer();

  /// Whole blocks. The data area of an image begins here.
  uint64_t metadata_size() const;
  uint64_t inode_count() const;

  /// Gives the metadata in pieces of a bounded size, in order.
  void write(const std::function<void(Bytes)>& sink) const;

 private:
  class Layout;
  std::unique_ptr<Layout> layout_;
};

}  // namespace erofs_oci::erofs
