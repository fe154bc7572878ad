// SPDX-License-Identifier: Apache-2.0
#include "erofs/slot_allocator.h"

#include <gtest/gtest.h>

namespace erofs_oci::erofs {
namespace {

constexpr uint64_t kBlock = 512 / 32;

TEST(SlotAllocator, GivesOneBehindTheOther) {
  SlotAllocator slots(512, 5);
  EXPECT_EQ(slots.allocate(2, false), 5u);
  EXPECT_EQ(slots.allocate(3, true), 7u);
  EXPECT_EQ(slots.allocate(100, false), 10u);
  EXPECT_EQ(slots.end(), 110u);
}

TEST(SlotAllocator, KeepsWhatMustStayInABlockOffItsEnd) {
  SlotAllocator slots(512, kBlock - 2);
  EXPECT_EQ(slots.allocate(3, true), kBlock);
  EXPECT_EQ(slots.allocate(kBlock, true), 2 * kBlock);
}

TEST(SlotAllocator, FillsTheSmallestGapThatFits) {
  SlotAllocator slots(512, kBlock - 5);
  EXPECT_EQ(slots.allocate(kBlock - 3, true), kBlock);  // leaves 5 in front, 3 behind
  EXPECT_EQ(slots.allocate(kBlock, true), 2 * kBlock);
  EXPECT_EQ(slots.allocate(2, true), 2 * kBlock - 3);
  EXPECT_EQ(slots.allocate(4, false), kBlock - 5);
  EXPECT_EQ(slots.allocate(1, false), kBlock - 1);
  EXPECT_EQ(slots.allocate(1, false), 2 * kBlock - 1);
  EXPECT_EQ(slots.allocate(1, false), 3 * kBlock);
}

}  // namespace
}  // namespace erofs_oci::erofs
