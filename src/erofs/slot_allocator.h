// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace erofs_oci::erofs {

/// Gives inodes their places, in slots of 32 bytes. What is left of a block because the next inode must not
/// cross its end is kept and given to inodes that fit: the smallest gap that is large enough, among those the
/// latest.
class SlotAllocator {
 public:
  SlotAllocator(uint32_t block_size, uint64_t first_slot);

  /// `count` > 0 slots in a row; in one block if `within_block`, and then no more than a block has.
  uint64_t allocate(uint64_t count, bool within_block);

  /// Behind the last slot in use.
  uint64_t end() const { return end_; }

 private:
  std::optional<uint64_t> take_gap(uint64_t count);

  uint64_t slots_per_block_;
  uint64_t end_;
  std::vector<std::vector<uint64_t>> gaps_;  // by their size: their first slots
};

}  // namespace erofs_oci::erofs
