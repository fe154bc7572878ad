// SPDX-License-Identifier: Apache-2.0
#include "source/group_loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <optional>
#include <random>
#include <span>

#include "index/building.h"
#include "source/fake_blob.h"
#include "source/fake_store.h"
#include "source/indexed_spans.h"
#include "source/span_loader.h"

namespace erofs_oci {
namespace {

using namespace testing;
using ::testing::Each;
using ::testing::HasSubstr;

/// A layer that is one zstd frame.
struct Layer {
  explicit Layer(const std::string& content) : tar(member_of("big", content) + end_blocks()) {}

  std::string tar;
  std::string blob = zstd_frames(tar, SIZE_MAX / 2);
  std::shared_ptr<const ImageIndex> index =
      std::make_shared<ImageIndex>(fd_of(build_index(image_input({blob}))), "x.index");
};
/// Of three spans, the last of them short.
const Layer& layer() {
  static const Layer made(prose(10 * kMiB));
  return made;
}
/// Of six spans, the last of them short, with stored bytes of more than a pass asks for at its start.
const Layer& long_layer() {
  static const Layer made = [] {
    std::string content(21 * kMiB, '\0');
    std::ranges::generate(content, [random = std::minstd_rand()]() mutable { return static_cast<char>(random() >> 8); });
    return Layer(content);
  }();
  return made;
}

/// A disk that writes nothing until it is let go, as spans held by it show.
class SlowStore : public FakeStore {
 public:
  void keep(size_t span, SpanRef bytes) override {
    FakeStore::keep(span, bytes);
    MutexLock lock(mutex_);
    if (is_slow_) held_.push_back(std::move(bytes));
  }
  bool has(size_t span) const override {
    MutexLock lock(mutex_);
    if (span == held_.size()) reached = span;
    return FakeStore::has(span);
  }
  void let_go() {
    std::vector<SpanRef> held;
    MutexLock lock(mutex_);
    is_slow_ = false;
    held.swap(held_);
  }
  /// The first span that it does not hold, once that has been asked for.
  mutable std::atomic<size_t> reached{0};

 private:
  mutable Mutex mutex_;
  bool is_slow_ GUARDED_BY(mutex_) = true;
  std::vector<SpanRef> held_ GUARDED_BY(mutex_);
};

class GroupLoaderTest : public ::testing::Test {
 protected:
  static std::shared_ptr<FakeBlob> make_blob(const Layer& of = layer()) {
    const Bytes bytes = as_bytes(of.blob);
    return std::make_shared<FakeBlob>(std::vector<std::byte>(bytes.begin(), bytes.end()));
  }
  std::shared_ptr<const Stream> make_stream(std::shared_ptr<FakeBlob> blob,
                                            std::shared_ptr<FakeStore> store = nullptr,
                                            const Layer& of = layer()) {
    return std::make_shared<const Stream>(std::move(blob), std::make_unique<IndexedSpans>(of.index, 0),
                                          of.index->digest(), std::move(store));
  }

  std::future<SpanResult> start(const std::shared_ptr<const Stream>& stream, size_t span) {
    auto promise = std::make_shared<std::promise<SpanResult>>();
    loader_->load(stream, span, Priority::foreground,
                 [promise](SpanResult result) { promise->set_value(std::move(result)); });
    return promise->get_future();
  }
  void prefetch(const std::shared_ptr<const Stream>& stream, size_t first, size_t end) {
    for (size_t span = first; span < end; ++span)
      EXPECT_TRUE(loader_->prefetch(stream, span, [](const std::optional<Error>&) {}));
  }
  /// Whether it came and is right.
  static bool is_right(const Stream& stream, size_t span, const SpanResult& result, const Layer& of = layer()) {
    const ByteRange place = stream.spans->output(span);
    return result.span && as_text(result.span->bytes()) == of.tar.substr(place.offset, place.length);
  }
  void wait_for_reads() const { wait_for_reads(*blob_, 1); }
  static void wait_for_reads(const FakeBlob& blob, size_t reads) {
    while (blob.waiting() < reads) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  static void wait_until_kept(const FakeStore& store, size_t spans) {
    for (size_t span = 0; span < spans; ++span)
      while (!store.has(span)) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }

  /// Longer than what is not wanted would take.
  static void wait_for_nothing() { std::this_thread::sleep_for(std::chrono::milliseconds(300)); }

  std::shared_ptr<FakeBlob> blob_ = make_blob();
  std::shared_ptr<FakeStore> store_ = std::make_shared<FakeStore>();
  WorkerPool workers_{2};
  MemoryBound memory_{64 * kMiB};
  std::optional<SpanLoader> loader_{std::in_place, memory_, workers_};
};

TEST_F(GroupLoaderTest, AFrameIsOneGroupOfSpans) {
  const auto stream = make_stream(blob_);
  ASSERT_EQ(stream->spans->span_count(), 3u);
  for (size_t span = 0; span < 3; ++span) {
    EXPECT_EQ(stream->spans->group(span).first, 0u);
    EXPECT_EQ(stream->spans->group(span).count, 3u);
    EXPECT_EQ(stream->spans->stored(span), (ByteRange{0, layer().blob.size()}));
  }
}

TEST_F(GroupLoaderTest, SpansComeInAnyOrderWithoutAStore) {
  const auto stream = make_stream(blob_);
  for (const size_t span : {2, 0, 1}) EXPECT_TRUE(is_right(*stream, span, start(stream, span).get())) << span;
}

TEST_F(GroupLoaderTest, ASequentialReaderWithoutAStoreFetchesOnce) {
  const auto stream = make_stream(blob_);
  for (size_t span = 0; span < 3; ++span)
    EXPECT_TRUE(is_right(*stream, span, start(stream, span).get())) << span;
  EXPECT_EQ(blob_->bytes, layer().blob.size());
}

TEST_F(GroupLoaderTest, OneReadStoresAllOfIt) {
  const auto stream = make_stream(blob_, store_);
  EXPECT_TRUE(is_right(*stream, 0, start(stream, 0).get()));
  wait_until_kept(*store_, 3);
  EXPECT_EQ(blob_->bytes, layer().blob.size());
  for (size_t span = 1; span < 3; ++span)
    EXPECT_TRUE(is_right(*stream, span, start(stream, span).get())) << span;
  EXPECT_EQ(blob_->bytes, layer().blob.size());
}

TEST_F(GroupLoaderTest, WhoAsksTogetherFetchesOnce) {
  blob_->held = true;
  const auto stream = make_stream(blob_);
  std::vector<std::future<SpanResult>> loads;
  for (const size_t span : {0, 1, 2, 1}) loads.push_back(start(stream, span));
  blob_->release();
  size_t at = 0;
  for (const size_t span : {0, 1, 2, 1}) EXPECT_TRUE(is_right(*stream, span, loads[at++].get())) << span;
  EXPECT_EQ(blob_->bytes, layer().blob.size());
}

TEST_F(GroupLoaderTest, CorruptBytesAreFetchedOnceMore) {
  const auto stream = make_stream(blob_);
  blob_->altered = 1;
  EXPECT_TRUE(is_right(*stream, 1, start(stream, 1).get()));
  blob_->altered = 1000;
  const auto other = make_stream(blob_);
  const SpanResult failed = start(other, 0).get();
  ASSERT_TRUE(failed.error);
  EXPECT_EQ(failed.error->kind(), ErrorKind::corrupt);
  EXPECT_THAT(failed.error->what(), HasSubstr("fake blob"));
}

/// Of random bytes, which are stored as they are, so that only the digest of the span tells.
TEST_F(GroupLoaderTest, ALateByteThatIsWrongIsFetchedOnceMoreByAnotherWay) {
  const auto blob = make_blob(long_layer());
  for (const auto& store : {std::shared_ptr<FakeStore>(), store_}) {
    blob->flip_at = long_layer().blob.size() / 2;
    blob->distrusted = 0;
    const auto stream = make_stream(blob, store, long_layer());
    EXPECT_TRUE(is_right(*stream, 2, start(stream, 2).get(), long_layer()));
    EXPECT_EQ(blob->distrusted, 1);
    EXPECT_EQ(blob->flip_at, UINT64_MAX);
    loader_->drop(*stream);
  }
}

TEST_F(GroupLoaderTest, AReaderOfAWrongByteIsToldAfterThoseWhoCameMeanwhile) {
  const auto blob = make_blob(long_layer());
  const auto stream = make_stream(blob, store_, long_layer());
  const auto other = make_stream(blob_, store_);
  blob->flip_at = long_layer().blob.size() / 2;
  blob->held = true;
  auto late = start(stream, 2);
  wait_for_reads(*blob, 1);
  auto meanwhile = start(other, 1);
  blob->release();
  EXPECT_TRUE(late.get().span);
  EXPECT_TRUE(meanwhile.get().span);
}

TEST_F(GroupLoaderTest, AFetchThatFailsFailsOnlyThoseOfItsStream) {
  const auto good_blob = make_blob();
  const auto bad = make_stream(blob_);
  const auto good = make_stream(good_blob);
  blob_->held = true;
  auto failing = start(bad, 0);
  auto other = start(good, 1);
  wait_for_reads();
  blob_->release(Error(ErrorKind::unavailable, "away"));
  EXPECT_TRUE(failing.get().error);
  EXPECT_TRUE(is_right(*good, 1, other.get()));
}

TEST_F(GroupLoaderTest, APrefetchIsLastAndBringsWhatItAsksForByOneFetch) {
  const auto blob = make_blob(long_layer());
  const auto stream = make_stream(blob, store_, long_layer());
  prefetch(stream, 0, 2);
  wait_until_kept(*store_, 2);
  wait_for_nothing();
  EXPECT_FALSE(store_->has(2));
  EXPECT_LE(blob->bytes, 12 * kMiB);
  prefetch(stream, 2, 6);
  wait_until_kept(*store_, 6);
  EXPECT_EQ(blob->bytes, long_layer().blob.size());
  EXPECT_THAT(blob->priorities(), Each(Priority::prefetch));
}

TEST_F(GroupLoaderTest, AReaderOfAnotherGroupGoesBeforeAPrefetch) {
  const auto blob = make_blob(long_layer());
  const auto prefetched = make_stream(blob, store_, long_layer());
  const auto stream = make_stream(blob_);
  blob->held = true;
  prefetch(prefetched, 0, 6);
  wait_for_reads(*blob, 3);
  std::promise<uint64_t> before;
  loader_->load(stream, 1, Priority::foreground, [&](const SpanResult&) { before.set_value(blob->bytes); });
  blob->release();
  EXPECT_LT(before.get_future().get(), 10 * kMiB) << "it did not wait for the first span only";
  wait_until_kept(*store_, 6);
}

TEST_F(GroupLoaderTest, AReaderGoesBeforeWhatAPrefetchAskedForFirst) {
  const auto blob = make_blob(long_layer());
  const auto prefetched = make_stream(blob, store_, long_layer());
  const auto stream = make_stream(blob_);
  const Layer third(prose(5 * kMiB, 8));
  const auto busy_blob = make_blob(third);
  busy_blob->held = true;
  auto first = start(make_stream(busy_blob, nullptr, third), 0);
  wait_for_reads(*busy_blob, 1);
  prefetch(prefetched, 0, 1);
  auto read = start(stream, 1);
  blob->held = true;
  busy_blob->release();
  EXPECT_EQ(read.wait_for(std::chrono::seconds(30)), std::future_status::ready);
  blob->release();
  wait_until_kept(*store_, 1);
}

TEST_F(GroupLoaderTest, WhatAReaderJoinsIsAsUrgentAsTheReader) {
  const auto blob = make_blob(long_layer());
  const auto stream = make_stream(blob, store_, long_layer());
  blob->held = true;
  prefetch(stream, 0, 1);
  wait_for_reads(*blob, 3);
  auto read = start(stream, 0);
  blob->release();
  EXPECT_FALSE(read.get().error);
  wait_until_kept(*store_, 6);  // as after any read
  const std::vector<Priority> seen = blob->priorities();
  EXPECT_THAT(std::span(seen).first(3), Each(Priority::prefetch));
  EXPECT_EQ(seen[3], Priority::foreground);
  EXPECT_EQ(seen.back(), Priority::read_ahead) << "nobody waits for it";
}

TEST_F(GroupLoaderTest, APrefetchMakesUpForWhatItPassesBy) {
  for (const size_t span : {0, 1}) store_->keep(span, std::make_shared<Buffer>(kMiB));
  const auto stream = make_stream(make_blob(long_layer()), store_, long_layer());
  prefetch(stream, 2, 3);
  wait_until_kept(*store_, 4);
  wait_for_nothing();
  EXPECT_FALSE(store_->has(4));
}

TEST_F(GroupLoaderTest, NoBlobIsReadOnceItHasBeenStopped) {
  const auto blob = make_blob(long_layer());
  const auto store = std::make_shared<SlowStore>();
  const auto stream = make_stream(blob, store, long_layer());
  start(stream, 0).get();
  while (store->reached != 3) std::this_thread::yield();  // now it waits for the disk
  loader_->stop();
  const int reads = blob->reads;
  store->let_go();
  EXPECT_TRUE(start(stream, 4).get().error);
  loader_.reset();  // it has ended
  EXPECT_EQ(blob->reads, reads);
}

TEST_F(GroupLoaderTest, StoppingFailsWhoWaits) {
  blob_->held = true;
  const auto stream = make_stream(blob_);
  auto first = start(stream, 0);
  wait_for_reads();
  auto second = start(stream, 2);
  loader_->stop();
  EXPECT_TRUE(second.get().error);
  blob_->release(Error(ErrorKind::unavailable, "the engine has ended"));
  EXPECT_TRUE(first.get().error);
}

}  // namespace
}  // namespace erofs_oci
