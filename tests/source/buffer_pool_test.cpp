// SPDX-License-Identifier: Apache-2.0
#include "source/buffer_pool.h"

#include <gtest/gtest.h>

#include "source/memory_bound.h"

namespace erofs_oci {
namespace {

TEST(BufferPoolTest, UsedPagesAreTakenAgain) {
  BufferPool pool(kMiB);
  Buffer first = pool.take(300'000);
  const std::byte* const pages = first.bytes().data();
  pool.put(std::move(first));
  Buffer second = pool.take(310'000);
  EXPECT_EQ(second.bytes().data(), pages);
  EXPECT_EQ(second.size(), 310'000u);
  EXPECT_GE(second.capacity(), second.size());
}

TEST(BufferPoolTest, PagesOfASimilarSizeAreTakenAndReshaped) {
  BufferPool pool(4 * kMiB);
  for (const auto& [former, next] : {std::pair(kMiB, kMiB * 3 / 4), std::pair(kMiB * 3 / 4, kMiB)}) {
    Buffer buffer = pool.take(former);
    buffer.bytes()[100] = std::byte{17};
    pool.put(std::move(buffer));
    Buffer other = pool.take(next);
    EXPECT_EQ(other.size(), next);
    EXPECT_EQ(other.bytes()[100], std::byte{17}) << "these pages are not zeroed again";
    std::ranges::fill(other.bytes(), std::byte{1});
  }
}

TEST(BufferPoolTest, OtherSizesAreLeftToOthers) {
  BufferPool pool(4 * kMiB);
  Buffer large = pool.take(kMiB);
  const std::byte* const pages = large.bytes().data();
  pool.put(std::move(large));
  EXPECT_NE(pool.take(4096).bytes().data(), pages);
  EXPECT_EQ(pool.take(kMiB).bytes().data(), pages);
}

TEST(BufferPoolTest, KeepsNoMoreThanItsShare) {
  BufferPool pool(2 * kMiB);
  std::vector<Buffer> buffers;
  for (int i = 0; i < 4; ++i) buffers.push_back(pool.take(kMiB));
  const std::byte* const last = buffers.back().bytes().data();
  for (Buffer& buffer : buffers) pool.put(std::move(buffer));
  EXPECT_EQ(pool.take(kMiB).bytes().data(), last);
}

TEST(BufferPoolTest, MostPagesOfABufferAreNeeded) {
  BufferPool pool(kMiB);
  for (size_t size = 100'000; size < 5 * kMiB; size += 12'345) EXPECT_LE(pool.take(size).capacity(), size * 5 / 4 + 1);
}

TEST(BufferPoolTest, BoundAndIdleBuffersAreWithinTheWhole) {
  constexpr uint64_t kWhole = 72 * kMiB;
  const uint64_t limit = MemoryBound::limit_within(kWhole);
  EXPECT_EQ(limit, 64 * kMiB) << "an eighth of it more for those that are idle";
}

TEST(BufferPoolTest, BoundHasItsMemoryBackWithTheLastOwner) {
  MemoryBound memory(kMiB);
  std::optional<Reservation> reservation = memory.try_reserve(MemoryBound::Kind::span, 1000);
  ASSERT_TRUE(reservation);
  auto buffer = memory.allocate(std::move(*reservation));
  EXPECT_EQ(buffer->size(), 1000u);
  auto other = std::exchange(buffer, nullptr);
  EXPECT_EQ(memory.used(), 1000u);
  other.reset();
  EXPECT_EQ(memory.used(), 0u);
}

}  // namespace
}  // namespace erofs_oci
