// SPDX-License-Identifier: Apache-2.0
#include "source/fetch_queue.h"

#include <gmock/gmock.h>

#include <deque>

namespace erofs_oci {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr uint64_t kStored = kMiB;

/// Spans of 1 MiB of two blobs. As those of gzip do, each begins with the last byte of the one before.
class FetchQueueTest : public ::testing::Test {
 protected:
  FetchQueue::Fetch& add(size_t span, Priority priority = Priority::foreground, int blob = 0) {
    const uint64_t begin = span * kStored;
    const ByteRange stored = ByteRange::from_to(begin - (span == 0 ? 0 : 1), begin + kStored);
    FetchQueue::Fetch& fetch = fetches_.emplace_back(FetchQueue::Fetch{&blobs_[blob], span, stored, priority});
    queue_.add(fetch);
    return fetch;
  }
  void add_all(const std::vector<size_t>& spans, Priority priority = Priority::foreground) {
    for (const size_t span : spans) add(span, priority);
  }
  std::vector<size_t> next() {
    std::vector<size_t> spans;
    last_ = queue_.next();
    for (const FetchQueue::Fetch* fetch : last_) spans.push_back(fetch->span);
    return spans;
  }
  /// What is under way, of these spans.
  void end(const std::vector<size_t>& spans) {
    for (const FetchQueue::Fetch& fetch : fetches_) {
      if (std::ranges::find(spans, fetch.span) != spans.end() && fetch.request != 0) queue_.end(fetch);
    }
  }

  FetchQueue queue_;
  std::deque<FetchQueue::Fetch> fetches_;
  std::vector<FetchQueue::Fetch*> last_;
  int blobs_[2]{};
};

TEST_F(FetchQueueTest, WhatIsAloneStartsAtOnce) {
  add(3);
  EXPECT_THAT(next(), ElementsAre(3));
  add(7);
  EXPECT_THAT(next(), ElementsAre(7));
  EXPECT_THAT(next(), IsEmpty());
}

TEST_F(FetchQueueTest, NeighboursGoTogetherInTheirOrder) {
  add_all({2, 0, 1, 5});
  EXPECT_THAT(next(), ElementsAre(0, 1, 2));
  EXPECT_THAT(next(), ElementsAre(5));
}

TEST_F(FetchQueueTest, NeighboursOfAnotherBlobAreNone) {
  add(0);
  add(1, Priority::foreground, 1);
  EXPECT_THAT(next(), ElementsAre(0));
  EXPECT_THAT(next(), ElementsAre(1));
}

TEST_F(FetchQueueTest, NeighboursThatDoNotTouchAreFetchedApart) {
  add(0);
  FetchQueue::Fetch& apart = fetches_.emplace_back(FetchQueue::Fetch{&blobs_[0], 1, {kStored + 10, 100}});
  queue_.add(apart);
  EXPECT_THAT(next(), ElementsAre(0));
  EXPECT_THAT(next(), ElementsAre(1));
}

TEST_F(FetchQueueTest, NoRequestIsLongerThanTheBound) {
  add_all({0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  EXPECT_THAT(next(), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
  static_assert(FetchQueue::kMaxRequest == 8 * kStored);
}

TEST_F(FetchQueueTest, TheThirdRequestOfARunWaitsAndGoesWithThoseThatComeMeanwhile) {
  add(0);
  EXPECT_THAT(next(), ElementsAre(0));
  add(1);
  EXPECT_THAT(next(), ElementsAre(1));
  add_all({2, 3});
  EXPECT_THAT(next(), IsEmpty());
  add(4);
  EXPECT_THAT(next(), IsEmpty());
  end({0});
  EXPECT_THAT(next(), ElementsAre(2, 3, 4));
}

TEST_F(FetchQueueTest, OfRunsSideBySideEachHasOneRequestUnderWay) {
  add(0);
  add(20);
  EXPECT_THAT(next(), ElementsAre(0));
  EXPECT_THAT(next(), ElementsAre(20));
  add_all({1, 21});
  EXPECT_THAT(next(), IsEmpty());
  add_all({2, 22});
  end({20});
  EXPECT_THAT(next(), ElementsAre(1, 2)) << "one is under way";
  EXPECT_THAT(next(), ElementsAre(21, 22)) << "none of this run is";
  end({0, 1, 2, 21, 22});
  add_all({3, 4});
  EXPECT_THAT(next(), ElementsAre(3, 4));
}

TEST_F(FetchQueueTest, ABlobThatDoesNotAnswerDelaysNoOther) {
  add(0, Priority::foreground, 1);
  add(9, Priority::foreground, 1);
  add(0);
  for (int i = 0; i < 3; ++i) next();
  add(1);
  EXPECT_THAT(next(), ElementsAre(1));
}

TEST_F(FetchQueueTest, WhatIsFetchedOnceMoreIsUnderWayOnce) {
  FetchQueue::Fetch& fetch = add(0);
  EXPECT_THAT(next(), ElementsAre(0));
  queue_.add(fetch);
  EXPECT_THAT(next(), ElementsAre(0));
  add(1);
  EXPECT_THAT(next(), ElementsAre(1)) << "the second that is under way";
}

TEST_F(FetchQueueTest, AShortOneWaitsForOthersWhileALongOneIsUnderWay) {
  add_all({0, 1, 2, 3, 4});
  EXPECT_THAT(next(), ElementsAre(0, 1, 2, 3, 4));
  add(5);
  EXPECT_THAT(next(), IsEmpty());
  add(6);
  EXPECT_THAT(next(), IsEmpty());
  add(7);
  EXPECT_THAT(next(), ElementsAre(5, 6, 7)) << "more than half of what is under way";
}

TEST_F(FetchQueueTest, WhatIsDecodedIsNotUnderWay) {
  add_all({0, 1, 2, 3, 4});
  next();
  add(5);
  end({0, 1, 2});
  EXPECT_THAT(next(), ElementsAre(5));
}

TEST_F(FetchQueueTest, RandomReadsDoNotWaitForARun) {
  add_all({0, 1, 2, 3, 4});
  next();
  add(5);
  add(40);
  EXPECT_THAT(next(), ElementsAre(40));
}

TEST_F(FetchQueueTest, TheUrgentGoFirst) {
  add(10, Priority::prefetch);
  add(20, Priority::read_ahead);
  add(30);
  EXPECT_THAT(next(), ElementsAre(30));
  EXPECT_THAT(next(), ElementsAre(20));
  EXPECT_THAT(next(), ElementsAre(10));
}

TEST_F(FetchQueueTest, TheUrgentDoNotWaitForThoseWhoAreNot) {
  add_all({0, 1, 2, 3}, Priority::read_ahead);
  EXPECT_THAT(next(), ElementsAre(0, 1, 2, 3));
  add(4, Priority::read_ahead);
  add(5);
  EXPECT_THAT(next(), ElementsAre(5));
  EXPECT_THAT(next(), IsEmpty());
}

TEST_F(FetchQueueTest, TheUrgentTakeNeighboursBehindThemAlong) {
  add_all({1, 3}, Priority::prefetch);
  add(2);
  EXPECT_THAT(next(), ElementsAre(2, 3));
  EXPECT_EQ(last_[1]->priority, Priority::foreground);
  EXPECT_THAT(next(), ElementsAre(1));
}

TEST_F(FetchQueueTest, WhatIsRaisedNoLongerWaits) {
  add_all({0, 1, 2, 3}, Priority::read_ahead);
  next();
  FetchQueue::Fetch& waiting = add(4, Priority::read_ahead);
  EXPECT_THAT(next(), IsEmpty());
  queue_.raise(waiting, Priority::foreground);
  EXPECT_THAT(next(), ElementsAre(4));
  queue_.raise(waiting, Priority::foreground);
  queue_.end(waiting);
  queue_.raise(waiting, Priority::foreground);
  EXPECT_THAT(next(), IsEmpty()) << "it is not here any more";
}

TEST_F(FetchQueueTest, NobodyIsLoweredByARaise) {
  FetchQueue::Fetch& waiting = add(0);
  queue_.raise(waiting, Priority::prefetch);
  EXPECT_EQ(waiting.priority, Priority::foreground);
}

TEST_F(FetchQueueTest, ThoseWhoWaitCanBeTakenOut) {
  add_all({0, 1, 2, 3});
  next();
  add_all({4, 5, 6}, Priority::prefetch);
  FetchQueue::Fetch& other = add(4, Priority::prefetch, 1);
  std::vector<size_t> taken;
  for (const FetchQueue::Fetch* fetch : queue_.take_waiting(&blobs_[0])) taken.push_back(fetch->span);
  EXPECT_THAT(taken, ElementsAre(4, 5, 6));
  EXPECT_THAT(next(), ElementsAre(4));
  EXPECT_EQ(last_[0], &other);
  EXPECT_THAT(next(), IsEmpty());
}

TEST_F(FetchQueueTest, ASpanThatIsFetchedAgainWaitsLikeANewOne) {
  FetchQueue::Fetch& fetch = add(0);
  next();
  queue_.add(fetch);
  EXPECT_THAT(next(), ElementsAre(0));
  EXPECT_THAT(next(), IsEmpty());
}

}  // namespace
}  // namespace erofs_oci
