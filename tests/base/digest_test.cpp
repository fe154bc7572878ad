// SPDX-License-Identifier: Apache-2.0
#include "base/digest.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace erofs_oci {
namespace {

// FIPS 180-2, appendix B.1.
constexpr const char* kAbc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

TEST(Digest, HashesTheStandardsExample) { EXPECT_EQ(to_string(sha256(as_bytes("abc"))), kAbc); }

TEST(Digest, HashesPieceByPieceAndStartsAgain) {
  Sha256 hash;
  hash.update(as_bytes("a"));
  hash.update(as_bytes("bc"));
  EXPECT_EQ(to_string(hash.finish()), kAbc);
  hash.update(as_bytes("abc"));
  EXPECT_EQ(to_string(hash.finish()), kAbc);
}

TEST(Digest, ParsesWhatItPrintsAndNothingElse) {
  EXPECT_EQ(to_string(Digest::parse(kAbc)), kAbc);
  for (std::string bad : {"", "sha256:", "sha512:00", "sha256:BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}) {
    EXPECT_THROW(Digest::parse(bad), Error) << bad;
  }
}

}  // namespace
}  // namespace erofs_oci
