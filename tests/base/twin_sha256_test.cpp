// SPDX-License-Identifier: Apache-2.0
#include "base/twin_sha256.h"

#include <gtest/gtest.h>

#include <random>

namespace erofs_oci {
namespace {

class TwinSha256Test : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (GetParam() && !has_sha256_instructions())
      GTEST_SKIP() << "this processor has no instructions for SHA-256";
  }
};

INSTANTIATE_TEST_SUITE_P(Base, TwinSha256Test, ::testing::Bool(),
                         [](const auto& by) { return by.param ? "ByInstructions" : "ByOpenSsl"; });

std::vector<std::byte> noise(size_t size) {
  std::mt19937 random(1);
  std::vector<std::byte> bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

TEST_P(TwinSha256Test, IsThatOfOpenSslForEachLength) {
  const auto bytes = noise(300);
  TwinSha256 twin(GetParam());
  for (size_t size = 0; size <= bytes.size(); ++size) {
    twin.update(Bytes(bytes).first(size));
    EXPECT_EQ(twin.finish(), sha256(Bytes(bytes).first(size))) << size;
  }
}

/// Pieces and updates end anywhere, so that the two are hardly ever at the same place of a block.
TEST_P(TwinSha256Test, IsThatOfOpenSslHoweverItIsCut) {
  const auto bytes = noise(400000);
  std::mt19937 random(2);
  TwinSha256 twin(GetParam());
  size_t piece_begin = 0;
  for (size_t done = 0; done < bytes.size();) {
    const size_t size =
        std::min<size_t>(bytes.size() - done, random() % 3 == 0 ? random() % 3000 : random() % 130);
    twin.update(Bytes(bytes).subspan(done, size));
    done += size;
    if (random() % 7 != 0) continue;
    EXPECT_EQ(twin.finish_piece(), sha256(Bytes(bytes).subspan(piece_begin, done - piece_begin)));
    piece_begin = done;
  }
  EXPECT_EQ(twin.finish(), sha256(bytes));
  EXPECT_EQ(twin.finish(), sha256({}));
}

}  // namespace
}  // namespace erofs_oci
