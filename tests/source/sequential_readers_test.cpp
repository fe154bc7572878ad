// SPDX-License-Identifier: Apache-2.0
#include "source/sequential_readers.h"

#include <gtest/gtest.h>

#include <random>

namespace erofs_oci {
namespace {

constexpr uint64_t kBlock = 128 * kKiB;
constexpr uint64_t kMaxWindow = 16 * kMiB;

/// Reads [begin, end) in blocks; what was asked for ahead.
std::vector<ByteRange> read_through(SequentialReaders& readers, uint64_t begin, uint64_t end) {
  std::vector<ByteRange> asked;
  for (uint64_t offset = begin; offset < end; offset += kBlock) {
    if (const ByteRange ahead = readers.note({offset, kBlock}); !ahead.empty()) asked.push_back(ahead);
  }
  return asked;
}

TEST(SequentialReadersTest, ShortRunIsLeftAlone) {
  SequentialReaders readers(kMaxWindow);
  EXPECT_TRUE(read_through(readers, 0, SequentialReaders::kShortRun - kBlock).empty());
}

TEST(SequentialReadersTest, LongRunIsAskedForOnceAndWithoutGap) {
  SequentialReaders readers(kMaxWindow);
  const auto asked = read_through(readers, 0, 100 * kMiB);
  ASSERT_GT(asked.size(), 5u);
  for (size_t i = 1; i < asked.size(); ++i) EXPECT_EQ(asked[i].offset, asked[i - 1].end());
  EXPECT_GE(asked.back().end(), 100 * kMiB);
  EXPECT_LE(asked.back().end(), 100 * kMiB + kMaxWindow);
}

TEST(SequentialReadersTest, WindowGrowsWithTheRunUpToItsLimit) {
  SequentialReaders readers(kMaxWindow);
  uint64_t widest = 0;
  for (uint64_t offset = 0; offset < 200 * kMiB; offset += kBlock) {
    const ByteRange ahead = readers.note({offset, kBlock});
    if (ahead.empty()) continue;
    const uint64_t window = ahead.end() - (offset + kBlock);
    EXPECT_LE(window, (offset + kBlock) / 2);
    widest = std::max(widest, window);
  }
  EXPECT_EQ(widest, kMaxWindow);
}

TEST(SequentialReadersTest, WhoAsksAheadHimselfIsNotReadAhead) {
  SequentialReaders readers(kMaxWindow);
  uint64_t offset = 0;
  for (; offset < 100 * kMiB; offset += kBlock) EXPECT_TRUE(readers.note({offset, kBlock}, kMaxWindow).empty()) << offset;
  const ByteRange ahead = readers.note({offset, kBlock}, kMaxWindow / 4);
  EXPECT_EQ(ahead.length, kMaxWindow * 3 / 4);
}

TEST(SequentialReadersTest, InterleavedReadersAreToldApart) {
  SequentialReaders readers(kMaxWindow);
  std::vector<size_t> asked(SequentialReaders::kRuns);
  for (uint64_t offset = 0; offset < 8 * kMiB; offset += kBlock) {
    for (size_t reader = 0; reader < asked.size(); ++reader) {
      if (!readers.note({reader * kGiB + offset, kBlock}).empty()) ++asked[reader];
    }
  }
  for (const size_t count : asked) EXPECT_GT(count, 0u);
}

TEST(SequentialReadersTest, RequestsMayOvertakeEachOther) {
  SequentialReaders readers(kMaxWindow);
  size_t asked = 0;
  for (uint64_t offset = 0; offset < 16 * kMiB; offset += 2 * kBlock) {
    asked += readers.note({offset + kBlock, kBlock}).empty() ? 0 : 1;
    asked += readers.note({offset, kBlock}).empty() ? 0 : 1;
  }
  EXPECT_GT(asked, 0u);
}

TEST(SequentialReadersTest, RandomReadsAreLeftAlone) {
  SequentialReaders readers(kMaxWindow);
  std::mt19937_64 random(1);
  for (int i = 0; i < 100'000; ++i) {
    EXPECT_TRUE(readers.note({random() % (600 * kMiB / 4096) * 4096, 4096}).empty());
  }
}

TEST(SequentialReadersTest, SparseRunIsLeftAlone) {
  SequentialReaders readers(kMaxWindow);
  for (uint64_t offset = 0; offset < 100 * kMiB; offset += kMiB) {
    EXPECT_TRUE(readers.note({offset, kBlock}).empty()) << offset;
  }
}

TEST(SequentialReadersTest, RepeatedReadsOfOnePlaceAreNoRun) {
  SequentialReaders readers(kMaxWindow);
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(readers.note({5 * kMiB, kMiB}).empty());
}

}  // namespace
}  // namespace erofs_oci
