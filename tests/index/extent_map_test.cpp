// SPDX-License-Identifier: Apache-2.0
#include "index/extent_map.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace erofs_oci {
namespace {

TEST(ExtentMap, CutsAReadAtExtentsAndGaps) {
  const ExtentMap map({{0, 7, 100, kMetadata}, {200, 1000, 50, 3}});
  const auto pieces = map.pieces({90, 150});
  ASSERT_EQ(pieces.size(), 3u);
  EXPECT_EQ(pieces[0].target, kMetadata);
  EXPECT_EQ(pieces[0].range, (ByteRange{97, 10}));
  EXPECT_TRUE(pieces[1].is_gap);
  EXPECT_EQ(pieces[1].range.length, 100u);
  EXPECT_EQ(pieces[2].target, 3u);
  EXPECT_EQ(pieces[2].range, (ByteRange{1000, 40}));
}

TEST(ExtentMap, IsAGapBehindItsEnd) {
  const ExtentMap map({{0, 0, 100, kMetadata}});
  const auto pieces = map.pieces({100, 1ULL << 60});
  ASSERT_EQ(pieces.size(), 1u);
  EXPECT_TRUE(pieces[0].is_gap);
  EXPECT_EQ(pieces[0].range.length, 1ULL << 60);
}

TEST(ExtentMap, RefusesExtentsThatMakeNoMap) {
  EXPECT_THROW(ExtentMap({{0, 0, 0, 0}}), Error);
  EXPECT_THROW(ExtentMap({{0, 0, 10, 0}, {9, 0, 10, 0}}), Error);
  EXPECT_THROW(ExtentMap({{10, 0, 10, 0}, {0, 0, 10, 0}}), Error);
  EXPECT_THROW(ExtentMap({{UINT64_MAX, 0, 10, 0}}), Error);
  EXPECT_THROW(ExtentMap({{0, UINT64_MAX, 10, 0}}), Error);
}

}  // namespace
}  // namespace erofs_oci
