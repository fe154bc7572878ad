// SPDX-License-Identifier: Apache-2.0
#include "source/prefetch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "source/device_coverage.h"
#include "source/fake_blob.h"
#include "source/fake_store.h"
#include "source/plain_spans.h"

namespace erofs_oci {
namespace {

using ::testing::ElementsAre;
using testing::FakeBlob;
using testing::FakeStore;
using ::testing::HasSubstr;
using ::testing::Pair;

constexpr size_t kSpans = 6;

/// Spans of 1 MiB that can only be decoded together but for the last: of one byte, two, and all the rest.
class GroupOfSpans : public PlainSpans {
 public:
  using PlainSpans::PlainSpans;
  size_t span_count() const override { return 3; }
  size_t find(uint64_t offset) const override { return std::min<uint64_t>(offset, 2); }
  ByteRange output(size_t span) const override { return {span, span == 2 ? stream_size() - 2 : 1}; }
  ByteRange stored(size_t) const override { return {0, stream_size()}; }
  SpanGroup group(size_t) const override { return {0, 3}; }
  bool is_identity() const override { return false; }
  std::unique_ptr<GroupDecoder> decode_group(size_t) const override { return std::make_unique<Decoder>(); }

 private:
  struct Decoder : GroupDecoder {
    void feed(Bytes stored, const std::function<void(Bytes)>& output) override { output(stored); }
  };
};

/// A device of one plain layer, whose spans are kept.
class PrefetchTest : public ::testing::Test {
 protected:
  PrefetchTest() {
    DeviceParts parts;
    parts.map = share(ExtentMap({{0, 0, kSpans * kMiB, 0}}));
    parts.streams = {std::make_shared<Stream>(blob_, std::make_unique<PlainSpans>(kSpans * kMiB),
                                              sha256(as_bytes("content")), store_)};
    device_ =
        std::make_shared<MappedDevice>(std::move(parts), loader_, [](const FailedRead&, const Error&) {});
  }
  Prefetch all(PrefetchOptions options = {}) {
    return {device_, DeviceCoverage(device_).spans(), loader_, options};
  }
  size_t kept() const {
    size_t count = 0;
    for (size_t span = 0; span < kSpans; ++span) count += store_->has(span) ? 1 : 0;
    return count;
  }
  static void wait_until(const std::function<bool()>& true_now) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!true_now()) {
      ASSERT_LT(std::chrono::steady_clock::now(), end) << "it did not come true in time";
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

  std::shared_ptr<FakeBlob> blob_ = std::make_shared<FakeBlob>(testing::pattern(kSpans * kMiB));
  std::shared_ptr<FakeStore> store_ = std::make_shared<FakeStore>();
  MemoryBound memory_{64 * kMiB};
  WorkerPool workers_{2};
  SpanLoader loader_{memory_, workers_};
  std::shared_ptr<MappedDevice> device_;
  std::stop_source stop_;
};

TEST_F(PrefetchTest, FetchesAllOnce) {
  store_->keep(2, std::make_shared<Buffer>(kMiB));
  auto prefetch = all();
  EXPECT_EQ(prefetch.total_bytes(), kSpans * kMiB);
  std::vector<std::pair<uint64_t, uint64_t>> told;
  EXPECT_EQ(
      prefetch.run(stop_.get_token(), [&](uint64_t done, uint64_t total) { told.emplace_back(done, total); }),
      0u);
  EXPECT_EQ(kept(), kSpans);
  EXPECT_EQ(blob_->reads, 5);
  ASSERT_FALSE(told.empty());
  EXPECT_THAT(told.front(), Pair(kMiB, kSpans * kMiB)) << "one was there";
}

TEST_F(PrefetchTest, HasFewUnderWayAndEndsAtOnce) {
  blob_->held = true;
  auto prefetch = all({.spans_at_a_time = 2});
  auto run = std::async(std::launch::async, [&] { prefetch.run(stop_.get_token()); });
  wait_until([&] { return blob_->reads == 2; });
  stop_.request_stop();
  EXPECT_THROW(run.get(), Error);
  EXPECT_EQ(blob_->reads, 2);
  blob_->release();
}

TEST_F(PrefetchTest, WaitsAsLongAsAReaderWaits) {
  blob_->held = true;
  loader_.load(device_->streams()[0], 5, Priority::foreground, [](const SpanResult&) {});
  auto prefetch = all({.patience = std::chrono::hours(1)});
  std::atomic<int> ticks{0};
  auto run = std::async(std::launch::async,
                        [&] { prefetch.run(stop_.get_token(), [&](uint64_t, uint64_t) { ++ticks; }); });
  wait_until([&] { return ticks >= 2; });
  EXPECT_EQ(blob_->reads, 1);
  blob_->release();
  run.get();
  EXPECT_EQ(kept(), kSpans);
}

TEST_F(PrefetchTest, ARateHoldsItBack) {
  auto prefetch = all({.rate = 1});
  std::atomic<int> ticks{0};
  auto run = std::async(std::launch::async,
                        [&] { prefetch.run(stop_.get_token(), [&](uint64_t, uint64_t) { ++ticks; }); });
  wait_until([&] { return ticks >= 3; });
  stop_.request_stop();
  EXPECT_THROW(run.get(), Error);
  EXPECT_EQ(blob_->reads, 1) << "the second is due in twelve days";
}

TEST_F(PrefetchTest, AGroupIsChargedByItsParts) {
  DeviceParts parts;
  parts.map = share(ExtentMap({{0, 0, kSpans * kMiB, 0}}));
  parts.streams = {std::make_shared<Stream>(blob_, std::make_unique<GroupOfSpans>(kSpans * kMiB),
                                            sha256(as_bytes("a group")), store_),
                   device_->streams()[0]};
  device_ = std::make_shared<MappedDevice>(std::move(parts), loader_, [](const FailedRead&, const Error&) {});
  Prefetch prefetch(device_, {{0, 1}, {0, 0}, {0, 2}, {1, 3}}, loader_, {.rate = kKiB, .spans_at_a_time = 1});
  const auto begin = std::chrono::steady_clock::now();
  std::atomic<int> ticks{0};
  auto run = std::async(std::launch::async,
                        [&] { prefetch.run(stop_.get_token(), [&](uint64_t, uint64_t) { ++ticks; }); });
  wait_until([&] { return store_->has(2); });
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::minutes(1)) << "two bytes led there";
  wait_until([&, before = ticks.load()] { return ticks >= before + 3; });
  EXPECT_FALSE(store_->has(3)) << "the group took all its bytes";
  stop_.request_stop();
  EXPECT_THROW(run.get(), Error);
}

TEST_F(PrefetchTest, EndsWhereTheRegistryIsAwayAndGoesOnLater) {
  auto prefetch = all({.spans_at_a_time = 1});
  blob_->failures = 1;
  EXPECT_THROW(prefetch.run(stop_.get_token()), Error);
  EXPECT_EQ(blob_->reads, 1);
  EXPECT_EQ(prefetch.run(stop_.get_token()), 0u);
  EXPECT_EQ(kept(), kSpans);
}

TEST_F(PrefetchTest, EndsWhereNothingIsKept) {
  store_->full = true;
  auto prefetch = all({.pause_when_refused = std::chrono::milliseconds(1)});
  try {
    prefetch.run(stop_.get_token());
    FAIL() << "it was not told";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::no_space);
    EXPECT_THAT(error.what(), HasSubstr("does not keep"));
  }
}

TEST_F(PrefetchTest, WaitsForAStoreThatIsBehindWithItsWrites) {
  store_->full = true;
  auto prefetch = all({.pause_when_refused = std::chrono::milliseconds(200)});
  auto run = std::async(std::launch::async, [&] { return prefetch.run(stop_.get_token()); });
  wait_until([&] { return blob_->reads >= 1; });
  std::this_thread::sleep_for(
      std::chrono::milliseconds(400));  // it takes a few to refuse all without a pause
  store_->full = false;
  EXPECT_EQ(run.get(), 0u);
  EXPECT_EQ(kept(), kSpans);
}

TEST_F(PrefetchTest, FetchesNeighboursTogether) {
  Prefetch prefetch(device_, {{0, 1}, {0, 2}, {0, 3}, {0, 5}, {0, 4}}, loader_,
                    {.spans_at_a_time = 1, .neighbours = 2});
  EXPECT_EQ(prefetch.run(stop_.get_token()), 0u);
  EXPECT_THAT(blob_->offsets(), ElementsAre(kMiB, 2 * kMiB, 3 * kMiB, 5 * kMiB, 4 * kMiB));
  EXPECT_EQ(blob_->requests, 4);
}

TEST_F(PrefetchTest, KeepsTheOrderThatItWasGiven) {
  Prefetch prefetch(device_, {{0, 4}, {0, 1}, {0, 2}}, loader_, {.spans_at_a_time = 1});
  EXPECT_EQ(prefetch.run(stop_.get_token()), 0u);
  EXPECT_THAT(blob_->offsets(), ElementsAre(4 * kMiB, kMiB, 2 * kMiB));
}

}  // namespace
}  // namespace erofs_oci
