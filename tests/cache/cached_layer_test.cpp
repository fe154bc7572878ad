// SPDX-License-Identifier: Apache-2.0
#include "cache/cached_layer.h"

#include <sys/wait.h>

#include <thread>

#include "cache/cache_fixture.h"
#include "cache/sync_faults.h"

namespace erofs_oci {
namespace {

using testing::content_of;
using testing::key_of;
using testing::OddSpans;
using testing::SyncFaults;

class CachedLayerTest : public testing::CacheFixture {
 protected:
  ~CachedLayerTest() override { SyncFaults::failures = 0; }
  /// As flush(), and what the syncs have left to do.
  void settle() {
    cache_->flush();
    cache_->flush();
  }
};

/// Of the blocks that spans share, and the map.
constexpr uint64_t kSlack = 64 * kKiB;

TEST_F(CachedLayerTest, WhatAKilledDaemonHadNotMarkedIsGivenBackAtTheNextStart) {
  layer(1)->keep(5, content_of(1, 5));
  cache_->flush();
  cache_.reset();
  const pid_t child = ::fork();
  if (child == 0) {
    DiskCacheOptions slow = options();
    slow.sync_period = std::chrono::hours(1);
    DiskCache cache(slow);
    const auto of = cache.open(key_of(1), spans_);
    for (size_t span = 0; span < spans_.span_count(); ++span) of->keep(span, content_of(1, span));
    while (!of->is_whole()) std::this_thread::yield();
    ::_exit(of->bytes_on_disk() > 11 * OddSpans::kLength ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_EQ(status, 0);
  reopen();
  const auto of = layer(1);
  EXPECT_LT(of->bytes_on_disk(), OddSpans::kLength + kSlack);
  EXPECT_EQ(loaded(*of, 1), 1u) << "the one that was marked";
  EXPECT_EQ(log(), "");
}

TEST_F(CachedLayerTest, WhatWasDroppedIsGivenBack) {
  const auto of = layer(1);
  fill(*of, 1);
  for (size_t span = 0; span < spans_.span_count(); span += 2) of->drop(span);
  settle();
  EXPECT_LT(of->bytes_on_disk(), 6 * OddSpans::kLength + kSlack);
  EXPECT_EQ(loaded(*of, 1), 6u);
  fill(*of, 1);
  EXPECT_EQ(loaded(*of, 1), 12u);
}

TEST_F(CachedLayerTest, WhatCouldNotBeSyncedIsGivenBack) {
  const auto of = layer(1);
  SyncFaults::failures = 1;
  of->keep(3, content_of(1, 3));
  settle();
  EXPECT_EQ(SyncFaults::failures, 0);
  EXPECT_FALSE(of->has(3));
  EXPECT_LT(of->bytes_on_disk(), kSlack);
}

TEST_F(CachedLayerTest, ADiskThatFailsAtEachSyncIsToldOnce) {
  cache_.reset();
  DiskCacheOptions impatient = options();
  impatient.pause_when_full = std::chrono::milliseconds(0);
  cache_ = std::make_unique<DiskCache>(impatient);
  const auto of = layer(1);
  for (size_t span = 0; span < 3; ++span) {
    SyncFaults::failures = 1;
    of->keep(span, content_of(1, span));
    settle();
  }
  EXPECT_EQ(std::ranges::count(log(), '\n'), 1) << log();
  of->keep(5, content_of(1, 5));
  settle();
  EXPECT_NE(log().find("can be written again"), std::string::npos);
}

TEST_F(CachedLayerTest, ItsNamesAreDurableBeforeItsFirstMark) {
  const auto of = layer(1);
  SyncFaults::folders = 0;
  of->keep(3, content_of(1, 3));
  cache_->flush();
  EXPECT_EQ(SyncFaults::folders, 1);
  of->keep(4, content_of(1, 4));
  cache_->flush();
  EXPECT_EQ(SyncFaults::folders, 1) << "once a layer";
}

/// Two spans, the second so long that others can be evicted while it is read.
class LongSpans : public OddSpans {
 public:
  LongSpans() : OddSpans(2) {}
  uint64_t stream_size() const override { return kLength + 24 * kMiB; }
  ByteRange output(size_t span) const override {
    return span == 0 ? ByteRange{0, kLength} : ByteRange{kLength, 24 * kMiB};
  }
};

TEST_F(CachedLayerTest, WhatAReportNamesIsDroppedWhateverIsEvictedMeanwhile) {
  const auto of = cache_->open(key_of(1), LongSpans());
  of->keep(0, content_of(1, 0));
  of->keep(1, std::make_shared<Buffer>(24 * kMiB));
  cache_->flush();
  ASSERT_TRUE(of->is_whole());
  flip(file(1, ".data"), OddSpans::kLength + 24 * kMiB - 1);
  std::atomic<bool> stop{false};
  std::jthread evicting([&] {  // the writer has nothing to do
    while (!stop) of->evict({0});
  });
  EXPECT_FALSE(of->check(1));
  EXPECT_FALSE(of->has(1));
  stop = true;
}

TEST_F(CachedLayerTest, WhatGoesAndComesBackWhileItIsCheckedIsNoDamage) {
  const auto of = cache_->open(key_of(1), LongSpans());
  const auto bytes = std::make_shared<Buffer>(24 * kMiB);
  std::ranges::fill(bytes->bytes(), std::byte{7});
  std::atomic<bool> stop{false};
  std::jthread checking([&] {
    while (!stop) EXPECT_TRUE(of->check(1));
  });
  for (int round = 0; round < 30; ++round) {
    of->keep(1, bytes);
    cache_->flush();
    of->evict({1});
  }
  stop = true;
  EXPECT_EQ(log(), "");
}

TEST_F(CachedLayerTest, WhatIsQueuedIsServedFromMemory) {
  const auto map = CachedLayer::read(folder_ / "cache" / layer(1)->key().file_name());
  std::vector<SpanRef> queue;
  const auto of =
      std::make_shared<CachedLayer>(folder_ / "cache" / key_of(1).file_name(), map,
                                    [&](const std::shared_ptr<CachedLayer>&, size_t, SpanRef bytes) {
                                      if (queue.empty()) queue.push_back(std::move(bytes));
                                      return bytes == nullptr;
                                    });
  of->keep(3, content_of(1, 3));
  EXPECT_TRUE(loads(*of, 1, 3));
  EXPECT_FALSE(of->has_any()) << "not on disk";
  of->keep(4, content_of(1, 4));
  EXPECT_FALSE(of->has(4)) << "the queue is full";
  queue.clear();
  EXPECT_FALSE(of->has(3)) << "the queue was dropped";
  of->abandon(3);
  of->keep(3, content_of(1, 3));
  EXPECT_TRUE(loads(*of, 1, 3));
  of->drop(3);
  EXPECT_FALSE(of->has(3));
}

}  // namespace
}  // namespace erofs_oci
