// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"

#include <gtest/gtest.h>

namespace erofs_oci {
namespace {

TEST(Error, ContextGoesInFrontAndKindStays) {
  try {
    with_context("reading layer 3", [] { throw Error(ErrorKind::denied, "registry answered 401"); });
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "reading layer 3: registry answered 401");
    EXPECT_EQ(error.kind(), ErrorKind::denied);
    EXPECT_EQ(error.errno_value(), EACCES);
  }
}

TEST(Error, KindFollowsFromErrno) {
  EXPECT_EQ(system_error(ENOENT, "x").kind(), ErrorKind::not_found);
  EXPECT_EQ(system_error(EBUSY, "x").kind(), ErrorKind::busy);
  EXPECT_EQ(system_error(EMFILE, "x").kind(), ErrorKind::system);
  EXPECT_EQ(system_error(EMFILE, "x").errno_value(), EMFILE);
}

TEST(Error, KindNamesRoundTrip) {
  for (int i = 0; i <= static_cast<int>(ErrorKind::system); ++i) {
    const auto kind = static_cast<ErrorKind>(i);
    EXPECT_EQ(error_kind_from_string(to_string(kind)), kind);
  }
}

}  // namespace
}  // namespace erofs_oci
