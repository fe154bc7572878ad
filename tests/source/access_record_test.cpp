// SPDX-License-Identifier: Apache-2.0
#include "source/access_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

namespace erofs_oci {
namespace {

using std::chrono::milliseconds;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(AccessRecord, TellsWhatWasReadByItsBeginning) {
  AccessRecord record;
  std::this_thread::sleep_for(milliseconds(2));
  const auto begin = AccessRecord::Clock::now();
  record.note({70, 7}, AccessKind::prefetch, begin);
  record.note({3, 1u << 31}, AccessKind::fetched, begin - milliseconds(1500));
  const auto accesses = record.accesses();
  ASSERT_THAT(accesses, SizeIs(2));
  EXPECT_EQ(accesses[0].place, (SpanPlace{3, 1u << 31}));
  EXPECT_EQ(accesses[0].kind, AccessKind::fetched);
  EXPECT_GE(accesses[0].duration, milliseconds(1500));
  EXPECT_EQ(accesses[0].begin.count(), 0) << "it began before the record did";
  EXPECT_EQ(accesses[1].place, (SpanPlace{70, 7}));
  EXPECT_EQ(accesses[1].kind, AccessKind::prefetch);
}

TEST(AccessRecord, AReaderThatStaysInASpanIsNotedOnce) {
  AccessRecord record;
  record.note({0, 5}, AccessKind::fetched, AccessRecord::Clock::now());
  for (int i = 0; i < 1000; ++i) record.note_hit({0, 5});
  EXPECT_LE(record.accesses().size(), 3u) << "a period may have ended meanwhile";
  EXPECT_EQ(record.left_out(), 0u);
}

TEST(AccessRecord, WhatIsLoadedAheadIsNoReading) {
  AccessRecord record;
  record.note({0, 5}, AccessKind::read_ahead, AccessRecord::Clock::now());
  record.note_hit({0, 5});
  EXPECT_THAT(record.accesses(), SizeIs(2));
}

TEST(AccessRecord, HitsLeaveHalfOfItToOthers) {
  AccessRecord record;
  for (uint32_t span = 0; span < AccessRecord::kMax; ++span) record.note_hit({0, span});
  EXPECT_THAT(record.accesses(), SizeIs(AccessRecord::kMax / 2));
  EXPECT_EQ(record.left_out(), AccessRecord::kMax / 2);
  for (uint32_t span = 0; span < AccessRecord::kMax; ++span)
    record.note({1, span}, AccessKind::fetched, AccessRecord::Clock::now());
  EXPECT_THAT(record.accesses(), SizeIs(AccessRecord::kMax));
  EXPECT_EQ(record.left_out(), AccessRecord::kMax);
}

TEST(AccessRecord, LosesNothingThatThreadsNoteTogether) {
  AccessRecord record;
  constexpr uint32_t kEach = 2000;
  {
    std::vector<std::jthread> threads;
    for (uint32_t stream = 0; stream < 4; ++stream) {
      threads.emplace_back([&record, stream] {
        for (uint32_t span = 0; span < kEach; ++span)
          record.note({stream, span}, AccessKind::prefetch, AccessRecord::Clock::now());
      });
    }
  }
  std::vector<SpanPlace> places;
  for (const Access& access : record.accesses()) places.push_back(access.place);
  std::ranges::sort(places);
  EXPECT_EQ(std::ranges::unique(places).size(), 0u);
  ASSERT_THAT(places, SizeIs(4 * kEach));
}

TEST(AccessRecord, IsEmptyAtFirst) {
  EXPECT_THAT(AccessRecord().accesses(), IsEmpty());
}

}  // namespace
}  // namespace erofs_oci
