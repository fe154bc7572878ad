// SPDX-License-Identifier: Apache-2.0
#include "base/byte_range.h"

#include <gtest/gtest.h>

namespace erofs_oci {
namespace {

TEST(ByteRange, HttpEndsAreInclusive) {
  EXPECT_EQ(http_range({0, 1}), "bytes=0-0");
  EXPECT_EQ(http_range({4096, 4096}), "bytes=4096-8191");
}

TEST(ByteRange, FitsInDoesNotWrapAround) {
  EXPECT_TRUE((ByteRange{0, 10}.fits_in(10)));
  EXPECT_TRUE((ByteRange{10, 0}.fits_in(10)));
  EXPECT_FALSE((ByteRange{1, 10}.fits_in(10)));
  EXPECT_FALSE((ByteRange{UINT64_MAX, 2}.fits_in(10)));
  EXPECT_FALSE((ByteRange{2, UINT64_MAX}.fits_in(10)));
}

TEST(ByteRange, IntersectOfDisjointRangesIsEmpty) {
  EXPECT_EQ((ByteRange{0, 10}.intersect({5, 10})), (ByteRange{5, 5}));
  EXPECT_TRUE((ByteRange{0, 5}.intersect({7, 10}).empty()));
}

}  // namespace
}  // namespace erofs_oci
