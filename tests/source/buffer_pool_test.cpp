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
