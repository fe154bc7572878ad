// SPDX-License-Identifier: Apache-2.0
#include "zstd/block.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "base/error.h"

namespace erofs_oci {
namespace {

std::vector<std::byte> noise(size_t size) {
  std::vector<std::byte> data(size);
  std::mt19937 random(1);
  for (std::byte& byte : data) byte = static_cast<std::byte>(random() % 7);
  return data;
}

std::string refusal(Bytes data, size_t size) {
  std::vector<std::byte> out(size);
  try {
    zstd_decompress(data, out);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::corrupt);
    return error.what();
  }
  return "none";
}

TEST(ZstdBlock, GivesBackWhatItTook) {
  for (const size_t size : {0, 1, 100, 32768, 1'000'000}) {
    const auto data = noise(size);
    const auto compressed = zstd_compress(data);
    std::vector<std::byte> out(size);
    zstd_decompress(compressed, out);
    EXPECT_EQ(out, data);
    EXPECT_TRUE(size < 1000 || compressed.size() < size / 2);
  }
}

TEST(ZstdBlock, TakesSeveralFramesAndSkippableOnes) {
  auto frames = zstd_compress(noise(1000));
  const auto skippable = as_bytes(std::string_view("\x50\x2a\x4d\x18\x02\0\0\0xy", 10));
  frames.insert(frames.end(), skippable.begin(), skippable.end());
  const auto second = zstd_compress(noise(500));
  frames.insert(frames.end(), second.begin(), second.end());
  std::vector<std::byte> out(1500);
  zstd_decompress(frames, out);
  EXPECT_TRUE(std::equal(out.begin() + 1000, out.end(), noise(500).begin()));
}

TEST(ZstdBlock, RefusesTooMuchAndTooLittle) {
  const auto data = zstd_compress(noise(1000));
  EXPECT_NE(refusal(data, 999), "none");
  EXPECT_EQ(refusal(data, 1001), "zstd data decompresses to 1000 bytes where 1001 must be");
}

TEST(ZstdBlock, RefusesWhatIsCutOrNoZstd) {
  const auto data = zstd_compress(noise(1000));
  for (size_t size = 0; size < data.size(); ++size)
    EXPECT_NE(refusal(Bytes(data).first(size), 1000), "none") << size;
  EXPECT_NE(refusal(noise(1000), 1000), "none");
}

}  // namespace
}  // namespace erofs_oci
