// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "erofs/ondisk.h"
#include "erofs/tree.h"

namespace erofs_oci::erofs {

/// A regular file cut into chunks of one size, each of them a run of blocks of device 1, or a hole. One chunk
/// holds a contiguous file; a sparse one has the largest chunks on whose bounds its data and holes begin.
class ChunkMap {
 public:
  /// `file` has a size, and must outlive the map. Throws Error unsupported, without its path, where no chunks
  /// fit it.
  ChunkMap(const Node& file, uint32_t block_size);

  /// What i_u holds.
  uint16_t format() const;
  uint64_t count() const { return ((file_.size - 1) >> chunk_bits_) + 1; }
  void for_each(const std::function<void(const ChunkIndex&)>& visit) const;

 private:
  void check(const FileData& data) const;
  ChunkIndex index_at(uint64_t address) const;

  const Node& file_;
  uint32_t block_size_;
  int chunk_bits_ = 0;
};

}  // namespace erofs_oci::erofs
