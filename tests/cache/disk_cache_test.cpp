// SPDX-License-Identifier: Apache-2.0
#include "cache/disk_cache.h"

#include <random>
#include <thread>

#include "base/crc64.h"
#include "base/error.h"
#include "cache/cache_fixture.h"

namespace erofs_oci {
namespace {

using ::testing::AllOf;
using testing::CacheFixture;
using testing::content_of;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using testing::key_of;
using testing::OddSpans;
using ::testing::SizeIs;

using DiskCacheTest = CacheFixture;

TEST(Checksum, IsCrc64OfXz) {
  EXPECT_EQ(crc64(as_bytes("123456789")), 0x995dc9bbdf1939fau);
  EXPECT_EQ(crc64(as_bytes("56789"), crc64(as_bytes("1234"))), 0x995dc9bbdf1939fau);
}

TEST(LayerKey, NeverSharesOverTables) {
  const Digest layer = sha256(as_bytes("layer"));
  const Digest table = sha256(as_bytes("table"));
  const LayerKey index = LayerKey::of_index(layer, table);
  const LayerKey zinfo = LayerKey::of_zinfo(layer, "a/b", table, 4096);
  EXPECT_NE(index.content(), zinfo.content());
  EXPECT_NE(zinfo.content(), LayerKey::of_zinfo(layer, "a/b", table, 8192).content());
  EXPECT_NE(zinfo.content(), LayerKey::of_zinfo(layer, "b/b", table, 4096).content());
  EXPECT_NE(zinfo.content(), LayerKey::of_plain(layer, "a/b", 4096, 4096).content());
  EXPECT_EQ(index.content(), LayerKey::of_index(layer, table).content());
}

TEST_F(DiskCacheTest, WhatWasKeptIsThereInTheNextLife) {
  fill(*layer(1), 1);
  EXPECT_EQ(loaded(*layer(1), 1), 12u);
  reopen();
  EXPECT_EQ(loaded(*layer(1), 1), 12u);
  EXPECT_EQ(layer(1)->info().spans_kept, 12u);
  EXPECT_EQ(loaded(*layer(2), 2), 0u);
  EXPECT_EQ(log(), "");
}

TEST_F(DiskCacheTest, ASpanIsReadableBeforeItIsDurable) {
  cache_.reset();
  DiskCacheOptions slow = options();
  slow.sync_period = std::chrono::hours(1);
  cache_ = std::make_unique<DiskCache>(slow);
  const auto of = layer(1);
  of->keep(3, content_of(1, 3));
  while (!of->has(3)) std::this_thread::yield();
  EXPECT_TRUE(loads(*of, 1, 3));
}

TEST_F(DiskCacheTest, NeverServesAWrongByteHoweverOftenItIsKilled) {
  cache_.reset();
  std::mt19937 random(1);
  size_t most = 0;
  for (int round = 0; round < 40; ++round) {
    const pid_t child = ::fork();
    if (child == 0) {
      DiskCache cache(options(3 * kMiB));  // so that it evicts as well
      for (int i = round;; ++i) {
        const auto of = cache.open(key_of(i % 4), spans_);
        for (size_t span = 0; span < spans_.span_count(); ++span) of->keep(span, content_of(i % 4, span));
      }
    }
    ::usleep(random() % 60'000);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    reopen(3 * kMiB);
    size_t count = 0;
    for (int number = 0; number < 4; ++number) count += loaded(*layer(number), number);
    most = std::max(most, count);
    cache_.reset();
  }
  EXPECT_GT(most, 12u);
  EXPECT_EQ(log(), "") << "a span was marked before it was there";
}

TEST_F(DiskCacheTest, AFlippedBitOfDataIsFoundOnceAndTheSpanKeptAgain) {
  fill(*layer(1), 1);
  reopen();
  flip(file(1, ".data"), 3 * OddSpans::kLength + 50);
  const auto of = layer(1);
  EXPECT_EQ(loaded(*of, 1), 11u);
  EXPECT_EQ(loaded(*of, 1), 11u);
  EXPECT_THAT(log(), AllOf(HasSubstr("span 3: its bytes differ"), HasSubstr(to_string(key_of(1).layer))));
  EXPECT_EQ(std::ranges::count(log(), '\n'), 1);
  of->keep(3, content_of(1, 3));
  cache_->flush();
  EXPECT_EQ(loaded(*of, 1), 12u);
}

TEST_F(DiskCacheTest, AFlippedBitOfTheMapNeverGivesAWrongByte) {
  fill(*layer(1), 1);
  cache_.reset();
  const auto size = std::filesystem::file_size(file(1, ".map"));
  const std::string whole = read_text_file(file(1, ".map"), kMiB);
  const std::string data = read_text_file(file(1, ".data"), 16 * kMiB);
  for (uint64_t offset = 0; offset < size; offset += offset < 112 || offset >= 8192 ? 5 : 211) {
    write_file_durably(file(1, ".map"), whole, 0640);
    write_file_durably(file(1, ".data"), data, 0640);
    flip(file(1, ".map"), offset);
    reopen();
    const size_t count = loaded(*layer(1), 1);
    EXPECT_TRUE(count == 0 || count >= 11) << "at " << offset << ": " << count;
    cache_.reset();
  }
}

TEST_F(DiskCacheTest, ADamagedFileIsBegunAnewAndSaysSo) {
  for (const char* ending : {".map", ".data"}) {
    for (const uint64_t length : {0, 50, 4000, 9000, 300'000}) {
      reopen();
      fill(*layer(1), 1);
      cache_.reset();
      log_.clear();
      const UniqueFd fd = open_file(file(1, ending), O_RDWR);
      if (::ftruncate(fd.get(), static_cast<off_t>(length)) != 0) FAIL();
      reopen();
      EXPECT_LT(loaded(*layer(1), 1), 12u) << ending << " " << length;
      EXPECT_THAT(log(), HasSubstr("dropped")) << ending << " " << length;
      fill(*layer(1), 1);
      EXPECT_EQ(loaded(*layer(1), 1), 12u);
    }
  }
}

TEST_F(DiskCacheTest, GarbageAndStrangersAreLeftOrRemoved) {
  cache_.reset();
  const std::string name = key_of(7).file_name();
  write_file_durably(folder_ / "cache" / (name + ".map"), std::string(10'000, 'x'), 0640);
  write_file_durably(folder_ / "cache" / (name + ".data"), "data", 0640);
  write_file_durably(folder_ / "cache" / (key_of(8).file_name() + ".data"), "data", 0640);
  write_file_durably(folder_ / "cache/notes.txt", "mine", 0640);
  reopen();
  EXPECT_FALSE(std::filesystem::exists(file(7, ".map")));
  EXPECT_FALSE(std::filesystem::exists(file(8, ".data")));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "cache/notes.txt"));
  EXPECT_THAT(
      log(),
      HasSubstr("the map is damaged (it does not begin as one); what it has of this layer is dropped"));
}

TEST_F(DiskCacheTest, AnotherVersionIsBegunAnew) {
  fill(*layer(1), 1);
  cache_.reset();
  const UniqueFd fd = open_file(file(1, ".map"), O_RDWR);
  pwrite_all(fd.get(), 8, as_bytes("\x02"), "map");
  reopen();
  EXPECT_EQ(loaded(*layer(1), 1), 0u);
  EXPECT_THAT(log(), HasSubstr("is of version 2, this program knows 1"));
}

TEST_F(DiskCacheTest, TheLimitHoldsAndWhatWasUsedLastStays) {
  const uint64_t limit = 3 * kMiB;
  reopen(limit);
  for (int number = 0; number < 6; ++number) {
    fill(*layer(number), number);
    uint64_t on_disk = 0;
    for (const auto& each : cache_->layers()) on_disk += each->bytes_on_disk();
    EXPECT_LE(on_disk, limit);
  }
  EXPECT_EQ(loaded(*layer(5), 5), 12u);
  EXPECT_FALSE(cache_->has_layer(key_of(0).layer)) << "the oldest is gone, files and all";
  reopen(limit);
  EXPECT_EQ(loaded(*layer(5), 5), 12u);
  EXPECT_EQ(log(), "");
}

TEST_F(DiskCacheTest, ALimitThatWasLoweredHoldsFromTheStart) {
  for (int number = 1; number < 6; ++number) fill(*layer(number), number);
  const auto on_disk = [this] {
    uint64_t bytes = 0;
    for (const auto& each : cache_->layers()) bytes += each->bytes_on_disk();
    return bytes;
  };
  EXPECT_GT(on_disk(), 5 * kMiB);
  reopen(2 * kMiB);
  EXPECT_LE(on_disk(), 2 * kMiB);
  EXPECT_GT(on_disk(), kMiB);
  fill(*layer(6), 6);
  EXPECT_LE(on_disk(), 2 * kMiB);
  EXPECT_TRUE(loads(*layer(6), 6, 11));
  EXPECT_EQ(log(), "");
}

TEST_F(DiskCacheTest, UseCountsAndOutlivesTheDaemon) {
  fill(*layer(1), 1);
  fill(*layer(2), 2);
  cache_.reset();
  const timespec old[2] = {{.tv_sec = 1'000'000, .tv_nsec = 0}, {.tv_sec = 1'000'000, .tv_nsec = 0}};
  const timespec older[2] = {{.tv_sec = 900'000, .tv_nsec = 0}, {.tv_sec = 900'000, .tv_nsec = 0}};
  ::utimensat(AT_FDCWD, file(1, ".map").c_str(), older, 0);
  ::utimensat(AT_FDCWD, file(2, ".map").c_str(), old, 0);
  reopen();
  for (size_t span = 0; span < 6; ++span) EXPECT_TRUE(loads(*layer(1), 1, span));  // the older one is used
  reopen(3 * kMiB);
  fill(*layer(3), 3);
  EXPECT_EQ(loaded(*layer(1), 1), 12u) << "noted with its layer";
  EXPECT_LT(loaded(*layer(2), 2), 12u);
}

TEST_F(DiskCacheTest, WhatIsPinnedStays) {
  const uint64_t limit = 3 * kMiB;
  reopen(limit);
  fill(*layer(1), 1);
  cache_->pin("tools", {layer(1)});
  reopen(limit);
  for (int number = 2; number < 7; ++number) fill(*layer(number), number);
  EXPECT_EQ(loaded(*layer(1), 1), 12u);
  cache_->pin("more", {layer(5), layer(6)});
  fill(*layer(7), 7);
  cache_->pin("tools", {});
  for (int number = 2; number < 5; ++number) fill(*layer(number), number);
  EXPECT_LT(loaded(*layer(1), 1), 12u);
}

TEST_F(DiskCacheTest, SaysOnceWhatTakesTheRoom) {
  reopen(spans_.stream_size() + OddSpans::kLength / 2);
  fill(*layer(1), 1);
  ASSERT_EQ(loaded(*layer(1), 1), 12u);
  cache_->pin("tools", {layer(1)});
  fill(*layer(2), 2);
  fill(*layer(3), 3);
  EXPECT_THAT(log(), MatchesRegex("the cache: no room in cache_limit .1.2 MiB., of which 1.2 MiB are pinned and 0 "
                                  "B kept for indexes being built; going on without caching\n"));
  cache_->pin("other", {layer(1)});
  fill(*layer(4), 4);
  EXPECT_EQ(std::ranges::count(log(), '\n'), 2) << "pins have changed";
}

TEST_F(DiskCacheTest, WhatWasJustWrittenIsSyncedWhereItIsInTheWay) {
  reopen(4 * OddSpans::kLength);
  for (int number = 1; number < 5; ++number) {
    fill(*layer(number), number);
    EXPECT_TRUE(loads(*layer(number), number, 11)) << number;
  }
  EXPECT_EQ(log(), "");
}

TEST_F(DiskCacheTest, PinsWithoutAMountGo) {
  cache_->pin("tools", {layer(1)});
  cache_->keep_pins({"tools"});
  EXPECT_TRUE(cache_->is_pinned(*layer(1)));
  cache_->keep_pins({"other"});
  EXPECT_FALSE(cache_->is_pinned(*layer(1)));
}

TEST_F(DiskCacheTest, OneProcessWritesOthersRead) {
  fill(*layer(1), 1);
  DiskCache second(options());
  EXPECT_TRUE(cache_->writes());
  EXPECT_FALSE(second.writes());
  const auto of = second.open(key_of(1), spans_);
  EXPECT_EQ(loaded(*of, 1), 12u);
  EXPECT_FALSE(second.open(key_of(2), spans_));
  of->keep(0, content_of(9, 0));
  flip(file(1, ".data"), 10);
  EXPECT_FALSE(loads(*of, 1, 0));
  EXPECT_EQ(loaded(*layer(1), 1), 11u) << "the writer finds it itself";
  EXPECT_THROW(second.remove(std::nullopt), Error);
}

TEST_F(DiskCacheTest, AReaderOfWhatIsEvictedGetsNothingWrong) {
  const auto of = layer(1);
  fill(*of, 1);
  DiskCache second(options());
  const auto reader = second.open(key_of(1), spans_);
  std::atomic<bool> stop{false};
  std::jthread reading([&] {
    while (!stop) {
      loaded(*reader, 1);
      loaded(*of, 1);
    }
  });
  for (int i = 0; i < 20; ++i) {
    cache_->remove(std::nullopt);
    fill(*of, 1);
  }
  stop = true;
}

TEST_F(DiskCacheTest, VerifyFindsWhatRotted) {
  fill(*layer(1), 1);
  fill(*layer(2), 2);
  flip(file(2, ".data"), 7 * OddSpans::kLength + 1);
  uint64_t done = 0;
  const VerifyReport report =
      cache_->verify([&](uint64_t bytes, uint64_t total) { done = bytes * 100 / total; }, {});
  EXPECT_EQ(done, 100u);
  EXPECT_EQ(report.spans, 24u);
  ASSERT_THAT(report.damaged, SizeIs(1));
  EXPECT_EQ(report.damaged[0].span, 7u);
  EXPECT_EQ(report.damaged[0].key, key_of(2));
  EXPECT_THAT(cache_->verify([](uint64_t, uint64_t) {}, {}).damaged, IsEmpty()) << "it was dropped";
}

TEST_F(DiskCacheTest, RemovesOneLayerOrAll) {
  for (int number = 1; number <= 3; ++number) fill(*layer(number), number);
  EXPECT_GT(cache_->remove(key_of(2).layer), 11 * OddSpans::kLength);
  EXPECT_FALSE(cache_->has_layer(key_of(2).layer));
  const auto used = layer(1);
  cache_->remove(std::nullopt);
  EXPECT_THAT(cache_->layers(), SizeIs(1)) << "the one in use";
  EXPECT_EQ(loaded(*used, 1), 0u);
  EXPECT_LT(used->bytes_on_disk(), 64 * kKiB);
  fill(*used, 1);
  EXPECT_EQ(loaded(*used, 1), 12u);
}

TEST_F(DiskCacheTest, ADroppedSpanDoesNotComeBack) {
  fill(*layer(1), 1);
  layer(1)->drop(4);
  reopen();
  EXPECT_EQ(loaded(*layer(1), 1), 11u);
}

TEST_F(DiskCacheTest, GoesOnWithoutCachingWhereTheDiskIsFull) {
  on_a_small_disk([this] {
    const auto one = layer(1);
    fill(*one, 1);
    fill(*one, 1);
    bool right = loaded(*one, 1) > 2 && loaded(*one, 1) < 12;
    right = right && std::ranges::count(log(), '\n') == 1;
    right = right && log().find("going on without caching") != std::string::npos;
    cache_->remove(key_of(1).layer);
    ::usleep(100'000);
    one->keep(11, content_of(1, 11));
    cache_->flush();
    return right && loads(*one, 1, 11) && log().find("can be written again") != std::string::npos;
  });
}

}  // namespace
}  // namespace erofs_oci
