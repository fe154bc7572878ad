// SPDX-License-Identifier: Apache-2.0
#include "source/span_loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "source/fake_blob.h"
#include "source/fake_store.h"
#include "source/plain_spans.h"

namespace erofs_oci {
namespace {

using testing::FakeBlob;
using testing::FakeStore;
using ::testing::HasSubstr;
using testing::pattern;

constexpr size_t kSize = 3 * kMiB;

/// A table that refuses what was kept, or finds what it decodes damaged.
class PickySpans : public PlainSpans {
 public:
  using PlainSpans::PlainSpans;
  void check_kept(size_t, Bytes) const override { throw Error(ErrorKind::corrupt, "not what it was"); }
};

class SpanLoaderTest : public ::testing::Test {
 protected:
  std::shared_ptr<const Stream> stream(const std::shared_ptr<FakeBlob>& blob, const Digest& content,
                                       std::unique_ptr<const SpanTable> spans = nullptr) {
    if (!spans) spans = std::make_unique<PlainSpans>(kSize);
    return std::make_shared<Stream>(blob, std::move(spans), content, store_);
  }
  std::future<SpanResult> start(const std::shared_ptr<const Stream>& of, size_t span) {
    auto promise = std::make_shared<std::promise<SpanResult>>();
    loader_.load(of, span, Priority::foreground,
                 [promise](SpanResult result) { promise->set_value(std::move(result)); });
    return promise->get_future();
  }
  void expect_data(const SpanResult& result, size_t span) {
    ASSERT_FALSE(result.error) << result.error->what();
    EXPECT_TRUE(std::ranges::equal(result.span->bytes(), Bytes(data_).subspan(span * kMiB, kMiB)));
  }

  const std::vector<std::byte> data_ = pattern(kSize);
  const Digest content_ = sha256(as_bytes("content"));
  std::shared_ptr<FakeBlob> blob_ = std::make_shared<FakeBlob>(data_);
  std::shared_ptr<FakeBlob> other_ = std::make_shared<FakeBlob>(data_);
  std::shared_ptr<FakeStore> store_ = std::make_shared<FakeStore>();
  MemoryBound memory_{64 * kMiB};
  WorkerPool workers_{2};
  SpanLoader loader_{memory_, workers_};
};

TEST_F(SpanLoaderTest, WhatIsKeptIsNotFetchedAgain) {
  const auto first = stream(blob_, content_);
  expect_data(start(first, 1).get(), 1);
  loader_.drop(*first);  // as an unmount does
  expect_data(start(stream(blob_, content_), 1).get(), 1);
  EXPECT_EQ(blob_->reads, 1);
  EXPECT_EQ(store_->loads, 1);
}

TEST_F(SpanLoaderTest, AStopFailsWhatWaitsInARunAndWhatComesAfterIt) {
  const auto of = stream(blob_, content_);
  blob_->held = true;
  std::vector<std::future<SpanResult>> loads;
  for (size_t span = 0; span < 3; ++span) loads.push_back(start(of, span));
  EXPECT_EQ(blob_->waiting(), 2u) << "the third waits to go with others";
  loader_.stop();
  blob_->release();
  EXPECT_EQ(loads[2].get().error->errno_value(), ECANCELED);
  loader_.drop(*of);
  for (size_t span = 0; span < 3; ++span) {
    const auto result = start(of, span).get();
    EXPECT_TRUE(!result.error || result.error->errno_value() == ECANCELED) << span;
  }
}

/// A blob whose reads last until they are let go.
class SlowBlob : public FakeBlob {
 public:
  using FakeBlob::FakeBlob;
  void read_neighbours(std::vector<RangeRead> neighbours, Priority priority) override {
    begun_.set_value();
    go_on_.get_future().wait();
    FakeBlob::read_neighbours(std::move(neighbours), priority);
  }
  void wait_until_read() { begun_.get_future().wait(); }
  void let_go() { go_on_.set_value(); }

 private:
  std::promise<void> begun_;
  std::promise<void> go_on_;
};

TEST_F(SpanLoaderTest, NoBlobIsReadOnceItHasBeenStopped) {
  const auto slow = std::make_shared<SlowBlob>(data_);
  auto reader = std::async(std::launch::async, [&] { return start(stream(slow, content_), 0).get(); });
  slow->wait_until_read();
  auto stopped = std::async(std::launch::async, [&] { loader_.stop(); });
  EXPECT_EQ(stopped.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);
  slow->let_go();
  stopped.get();
  expect_data(reader.get(), 0);
  EXPECT_TRUE(start(stream(blob_, content_), 1).get().error);
  EXPECT_EQ(blob_->reads, 0);
}

TEST_F(SpanLoaderTest, WhatTheStoreLostIsFetched) {
  const auto of = stream(blob_, content_);
  expect_data(start(of, 0).get(), 0);
  loader_.drop(*of);
  store_->broken = true;
  expect_data(start(of, 0).get(), 0);
  EXPECT_EQ(blob_->reads, 2);
}

TEST_F(SpanLoaderTest, WhatTheTableRefusesIsFetched) {
  const auto of = stream(blob_, content_, std::make_unique<PickySpans>(kSize));
  expect_data(start(of, 0).get(), 0);
  loader_.drop(*of);
  expect_data(start(of, 0).get(), 0);
  EXPECT_EQ(blob_->reads, 2);
}

TEST_F(SpanLoaderTest, StreamsOfOneContentShareFetchesAndMemory) {
  store_ = nullptr;
  blob_->held = true;
  auto one = start(stream(blob_, content_), 2);
  auto two = start(stream(other_, content_), 2);
  blob_->release();
  expect_data(one.get(), 2);
  expect_data(two.get(), 2);
  expect_data(start(stream(other_, content_), 2).get(), 2);
  EXPECT_EQ(blob_->reads + other_->reads, 1);
  expect_data(start(stream(other_, sha256(as_bytes("another table"))), 2).get(), 2);
  EXPECT_EQ(other_->reads, 1);
}

TEST_F(SpanLoaderTest, ALoadGoesOnByTheBlobOfThoseWhoStillWait) {
  blob_->held = true;
  auto unmounted = start(stream(blob_, content_), 0);
  auto waiting = start(stream(other_, content_), 0);
  blob_->release(Error(ErrorKind::unavailable, ECANCELED, "unmounted"));
  EXPECT_THAT(unmounted.get().error->what(), HasSubstr("unmounted"));
  expect_data(waiting.get(), 0);
  EXPECT_EQ(other_->reads, 1);
}

class Together : public SpanLoaderTest {
 protected:
  std::vector<std::future<SpanResult>> start_together(const std::shared_ptr<const Stream>& of,
                                                      const std::vector<size_t>& spans) {
    std::vector<std::future<SpanResult>> results;
    SpanLoader::Together together(loader_);
    for (const size_t span : spans) {
      auto promise = std::make_shared<std::promise<SpanResult>>();
      results.push_back(promise->get_future());
      loader_.load(
          of, span, Priority::foreground,
          [promise](SpanResult result) { promise->set_value(std::move(result)); });
    }
    return results;
  }
  /// Their bytes have been checked when it returns.
  void load(const std::shared_ptr<const Stream>& of, const std::vector<size_t>& spans) {
    auto results = start_together(of, spans);
    for (size_t i = 0; i < spans.size(); ++i) expect_data(results[i].get(), spans[i]);
  }
};

TEST_F(Together, NeighboursAreFetchedByOneRequest) {
  const auto of = stream(blob_, content_);
  load(of, {0, 1});
  EXPECT_EQ(blob_->requests, 1);
  EXPECT_EQ(blob_->reads, 2);
}

TEST_F(Together, WhoContinuesARunWaitsForItsRequestsAndGoesWithOthers) {
  blob_->held = true;
  const auto of = stream(blob_, content_);
  auto first = start(of, 0);
  auto second = start(of, 1);
  auto third = start(of, 2);
  EXPECT_EQ(blob_->requests, 2) << "two of a run are under way";
  blob_->release();
  expect_data(first.get(), 0);
  expect_data(second.get(), 1);
  expect_data(third.get(), 2);
}

TEST_F(Together, AReaderDoesNotWaitForARunOfPrefetchesThatHeJoins) {
  blob_->held = true;
  const auto of = stream(blob_, content_);
  for (size_t span = 0; span < 3; ++span) loader_.load(of, span, Priority::prefetch, [](const SpanResult&) {});
  EXPECT_EQ(blob_->requests, 2);
  auto reader = start(of, 2);
  EXPECT_EQ(blob_->requests, 3);
  blob_->release();
  expect_data(reader.get(), 2);
}

TEST_F(Together, WhoWaitsForARequestThatFindsTheSourceAwayHasFoundItAway) {
  blob_->held = true;
  const auto of = stream(blob_, content_);
  std::vector<std::future<SpanResult>> results;
  for (size_t span = 0; span < 3; ++span) results.push_back(start(of, span));
  EXPECT_EQ(blob_->reads, 2);
  blob_->release(Error(ErrorKind::unavailable, ETIMEDOUT, "no answer"));
  for (auto& result : results) EXPECT_THAT(result.get().error->what(), HasSubstr("no answer"));
  EXPECT_EQ(blob_->reads, 2) << "it is not asked again";
}

TEST_F(Together, WhatLiesApartIsFetchedApart) {
  load(stream(blob_, content_), {0, 2});
  EXPECT_EQ(blob_->requests, 2);
}

TEST_F(Together, WhatIsThereIsNotFetchedWithItsNeighbours) {
  const auto of = stream(blob_, content_);
  loader_.use(*of);
  expect_data(start(of, 1).get(), 1);
  load(of, {0, 1, 2});
  EXPECT_EQ(blob_->reads, 3);
  EXPECT_EQ(blob_->bytes, kSize);
}

TEST_F(Together, OneThatFailsIsNoFailureOfItsNeighbour) {
  blob_->failures = 1;
  auto results = start_together(stream(blob_, content_), {0, 1});
  EXPECT_TRUE(results[0].get().error);
  expect_data(results[1].get(), 1);
}

TEST_F(SpanLoaderTest, MemoryIsKeptAsLongAsADeviceUsesTheContent) {
  store_ = nullptr;
  const auto one = stream(blob_, content_);
  const auto two = stream(other_, content_);
  loader_.use(*one);
  loader_.use(*two);
  start(one, 0).get();
  loader_.drop(*one);
  EXPECT_TRUE(loader_.find(*two, 0));
  loader_.drop(*two);
  EXPECT_FALSE(loader_.find(*two, 0));
}

TEST_F(SpanLoaderTest, PrefetchBringsASpanToTheStore) {
  const auto of = stream(blob_, content_);
  bool done = false;
  EXPECT_TRUE(loader_.prefetch(of, 1, [&](const auto& error) { done = !error; }));
  EXPECT_TRUE(done);
  EXPECT_TRUE(store_->has(1));
  EXPECT_EQ(memory_.used(), 0u) << "no device uses it";
}

TEST_F(SpanLoaderTest, PrefetchIsDoneOnceTheStoreHasLetGoOfTheSpan) {
  const auto of = stream(blob_, content_);
  store_->holds = true;
  bool done = false;
  loader_.prefetch(of, 1, [&](const auto&) { done = true; });
  EXPECT_FALSE(done);
  store_->let_go();
  EXPECT_TRUE(done);
}

TEST_F(SpanLoaderTest, PrefetchOfWhatMemoryHoldsFetchesNothing) {
  const auto of = stream(blob_, content_);
  loader_.use(*of);
  start(of, 1).get();
  store_->drop(1);
  bool done = false;
  EXPECT_TRUE(loader_.prefetch(of, 1, [&](const auto&) { done = true; }));
  EXPECT_TRUE(done);
  EXPECT_TRUE(store_->has(1));
  EXPECT_EQ(blob_->reads, 1);
  loader_.drop(*of);
}

/// Memory for two of three spans.
class InLittleMemory : public SpanLoaderTest {
 protected:
  InLittleMemory() { loader_.use(*of_); }
  ~InLittleMemory() override { loader_.drop(*of_); }
  void read(size_t span, uint64_t bytes) {
    loader_.load(of_, span, Priority::foreground, [](const SpanResult&) {}, bytes);
  }
  bool holds(size_t span) { return static_cast<bool>(loader_.find(*of_, span)); }

  MemoryBound memory_{2 * kMiB};
  SpanLoader loader_{memory_, workers_};
  const std::shared_ptr<const Stream> of_ = stream(blob_, content_);
};

TEST_F(InLittleMemory, WhatWasPrefetchedIsTheFirstToGo) {
  read(0, 1);
  loader_.prefetch(of_, 1, [](const auto&) {});
  read(2, 1);
  EXPECT_TRUE(holds(0));
  EXPECT_FALSE(holds(1));
  EXPECT_TRUE(holds(2));
}

TEST_F(InLittleMemory, WhatHasBeenReadFromEndToEndGoesBeforeWhatWasUsedLessRecently) {
  read(0, kMiB / 2);
  read(1, kMiB / 2);
  read(1, kMiB / 2);
  read(2, 1);
  EXPECT_TRUE(holds(0));
  EXPECT_FALSE(holds(1));
  EXPECT_TRUE(holds(2));
}

TEST_F(SpanLoaderTest, PrefetchDoesNotWaitForMemory) {
  MemoryBound memory(kMiB);
  SpanLoader loader(memory, workers_);
  blob_->held = true;
  loader.load(stream(blob_, content_), 0, Priority::foreground, [](const SpanResult&) {});
  EXPECT_FALSE(loader.prefetch(stream(blob_, content_), 1, [](const auto&) { FAIL(); }));
  blob_->release();
}

TEST_F(SpanLoaderTest, AReaderOutlastsTheRegistrysAbsenceThatEndsAPrefetch) {
  blob_->held = true;
  const auto of = stream(blob_, content_);
  std::optional<Error> end;
  loader_.prefetch(of, 0, [&](const auto& error) { end = error; });
  EXPECT_FALSE(loader_.is_waited_for());
  auto reader = start(of, 0);
  EXPECT_TRUE(loader_.is_waited_for());
  blob_->release(Error(ErrorKind::unavailable, ETIMEDOUT, "the registry is away"));
  ASSERT_TRUE(end);
  expect_data(reader.get(), 0);
  EXPECT_EQ(blob_->reads, 2);
  EXPECT_FALSE(loader_.is_waited_for());
}

}  // namespace
}  // namespace erofs_oci
