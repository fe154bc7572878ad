// SPDX-License-Identifier: Apache-2.0
#include "erofs/slot_allocator.h"

#include <cassert>

#include "erofs/ondisk.h"

namespace erofs_oci::erofs {

SlotAllocator::SlotAllocator(uint32_t block_size, uint64_t first_slot)
    : slots_per_block_(block_size / kInodeAlignment), end_(first_slot), gaps_(slots_per_block_) {}

uint64_t SlotAllocator::allocate(uint64_t count, bool within_block) {
  assert(count > 0 && (!within_block || count <= slots_per_block_));
  if (const auto gap = take_gap(count)) return *gap;
  const uint64_t left = slots_per_block_ - end_ % slots_per_block_;
  if (within_block && count > left) {
    gaps_[left].push_back(end_);
    end_ += left;
  }
  const uint64_t slot = end_;
  end_ += count;
  return slot;
}

std::optional<uint64_t> SlotAllocator::take_gap(uint64_t count) {
  for (uint64_t size = count; size < gaps_.size(); ++size) {
    if (gaps_[size].empty()) continue;
    const uint64_t slot = gaps_[size].back();
    gaps_[size].pop_back();
    if (size > count) gaps_[size - count].push_back(slot + count);
    return slot;
  }
  return std::nullopt;
}

}  // namespace erofs_oci::erofs
