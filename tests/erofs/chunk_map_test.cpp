// SPDX-License-Identifier: Apache-2.0
#include "erofs/chunk_map.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/error.h"

namespace erofs_oci::erofs {
namespace {

using ::testing::HasSubstr;

Node file_of(uint64_t size, std::vector<FileData> data) {
  Node file{.mode = S_IFREG};
  file.size = size;
  file.data = std::move(data);
  return file;
}

/// Chunk size and the first block of each chunk, as "1024: 3 - 5".
std::string chunks_of(const Node& file, uint32_t block_size = 512) {
  const ChunkMap map(file, block_size);
  std::string text = fmt::format("{}:", uint64_t{block_size} << (map.format() & kChunkBitsMask));
  map.for_each([&](const ChunkIndex& index) {
    const uint32_t block = index.startblk_lo;
    text += block == kNullAddress ? " -" : fmt::format(" {}", block);
    EXPECT_EQ(index.device_id, block == kNullAddress ? UINT16_MAX : 1);
  });
  return text;
}

struct Case {
  const char* name;
  Node file;
  std::string chunks;
};

TEST(ChunkMap, HasTheLargestChunksThatFit) {
  constexpr uint64_t kHuge = uint64_t{1} << 40;
  const std::vector<Case> cases{
      {"one byte", file_of(1, {{0, 1024, 1}}), "512: 2"},
      {"one block", file_of(512, {{0, 1024, 512}}), "512: 2"},
      {"contiguous", file_of(5000, {{0, 1024, 5000}}), "8192: 2"},
      {"of two pieces that are one", file_of(5000, {{0, 1024, 512}, {512, 1536, 4488}}), "8192: 2"},
      {"one hole", file_of(5000, {}), "8192: -"},
      {"larger than a chunk can be", file_of(kHuge + 1, {{0, 512, kHuge + 1}}),
       "1099511627776: 1 2147483649"},
      {"hole in front", file_of(8192, {{4096, 512, 4096}}), "4096: - 1"},
      {"hole behind", file_of(8192, {{0, 512, 2048}}), "2048: 1 - - -"},
      {"hole inside", file_of(9000, {{0, 512, 4096}, {8192, 5120, 808}}), "4096: 1 - 10"},
      {"data that does not go on", file_of(2048, {{0, 512, 1024}, {1024, 4096, 1024}}), "1024: 1 8"},
      {"pieces in any order on the device", file_of(3072, {{0, 4096, 1024}, {2048, 512, 1024}}),
       "1024: 8 - 1"},
  };
  for (const Case& one : cases) EXPECT_EQ(chunks_of(one.file), one.chunks) << one.name;
}

TEST(ChunkMap, BlocksOf4096HaveTheirOwnBounds) {
  EXPECT_EQ(chunks_of(file_of(16384, {{8192, 4096, 8192}}), 4096), "8192: - 1");
  EXPECT_THROW(chunks_of(file_of(16384, {{512, 4096, 512}}), 4096), Error);
}

std::string refusal_of(const Node& file) {
  try {
    return chunks_of(file);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::unsupported);
    return error.what();
  }
}

TEST(ChunkMap, RefusesWhatNoChunksDescribe) {
  EXPECT_THAT(refusal_of(file_of(4096, {{100, 612, 412}})), HasSubstr("multiples of 512"));
  EXPECT_THAT(refusal_of(file_of(4096, {{0, 512, 100}})), HasSubstr("multiples of 512"));
  EXPECT_THAT(refusal_of(file_of(4096, {{0, 100, 4096}})), HasSubstr("does not lie on blocks"));
  EXPECT_THAT(refusal_of(file_of(1024, {{0, uint64_t{512} << 32, 1024}})), HasSubstr("beyond 2^32 blocks"));
}

TEST(ChunkMap, RefusesMillionsOfChunks) {
  EXPECT_THAT(refusal_of(file_of(uint64_t{1} << 50, {{512, 512, 512}})), HasSubstr("chunks of 512 bytes"));
}

}  // namespace
}  // namespace erofs_oci::erofs
