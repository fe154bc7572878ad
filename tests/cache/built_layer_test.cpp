// SPDX-License-Identifier: Apache-2.0
#include "cache/built_layer.h"

#include "cache/cache_fixture.h"

namespace erofs_oci {
namespace {

using testing::content_of;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::key_of;
using testing::OddSpans;

/// Builds leave layers to a cache, as the index builder does.
class BuiltLayers : public testing::CacheFixture {
 protected:
  /// What a scan of layer `number` finds; its key is key_of(number).
  LayerScan scan_of(int number) const {
    LayerScan scan;
    scan.blob_digest = key_of(number).layer;
    scan.stream_size = spans_.stream_size();
    for (size_t span = 0; span < spans_.span_count(); ++span)
      scan.spans.push_back({.in = span, .out = spans_.output(span).offset});
    return scan;
  }
  /// Pushes the whole layer through a sink, in pieces that have nothing to do with spans' middle.
  void push(LayerSink& sink, int number) const {
    for (size_t span = 0; span < spans_.span_count(); ++span) {
      const SpanRef content = content_of(number, span);
      sink.output(content->bytes().first(33'333));
      sink.output(content->bytes().subspan(33'333));
      sink.end_span();
    }
  }
  /// A build of layer `number` in the room that the cache gives for `bytes`.
  void build(int number, uint64_t bytes = OddSpans(12).stream_size()) {
    const CacheFill fill = cache_->begin_build(bytes);
    if (const auto sink = built_layers(fill)(key_of(number).layer)) {
      push(*sink, number);
      sink->finish(scan_of(number), sha256(as_bytes("table")));
    }
    cache_->end_build(fill);
  }
  std::vector<std::string> left_behind() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_ / "cache")) {
      if (entry.path().native().ends_with(".built")) names.push_back(entry.path().filename());
    }
    return names;
  }
};

TEST_F(BuiltLayers, AreServedAtOnceAndInTheNextLife) {
  build(1);
  EXPECT_EQ(loaded(*layer(1), 1), 12u);
  EXPECT_THAT(left_behind(), IsEmpty());
  cache_->flush();
  reopen();
  EXPECT_EQ(loaded(*layer(1), 1), 12u);
  EXPECT_EQ(log(), "");
}

TEST_F(BuiltLayers, HaveNoMarksBeforeTheyAreDurable) {
  cache_.reset();
  DiskCacheOptions slow = options();
  slow.sync_period = std::chrono::hours(1);
  cache_ = std::make_unique<DiskCache>(slow);
  build(1);
  EXPECT_EQ(loaded(*layer(1), 1), 12u);
  const LayerMap map = CachedLayer::read(folder_ / "cache" / key_of(1).file_name());
  for (const SpanMark& mark : map.marks) EXPECT_FALSE(mark);
  cache_->flush();
  for (const SpanMark& mark : CachedLayer::read(folder_ / "cache" / key_of(1).file_name()).marks)
    EXPECT_TRUE(mark);
}

TEST_F(BuiltLayers, GiveWhatIsMissingToALayerThatIsThere) {
  const auto open = layer(1);
  open->keep(4, content_of(1, 4));
  cache_->flush();
  build(1);
  EXPECT_EQ(loaded(*open, 1), 12u);
  EXPECT_EQ(layer(1), open);
  EXPECT_THAT(left_behind(), IsEmpty());
}

TEST_F(BuiltLayers, AreNotBuiltWhereTheyAreWhole) {
  fill(*layer(1), 1);
  const CacheFill fill = cache_->begin_build(1000);
  EXPECT_FALSE(built_layers(fill)(key_of(1).layer));
  EXPECT_TRUE(built_layers(fill)(key_of(2).layer));
  cache_->end_build(fill);
}

TEST_F(BuiltLayers, AreNothingUntilTheyAreSeenToBeGood) {
  const CacheFill fill = cache_->begin_build(spans_.stream_size());
  {
    const auto sink = built_layers(fill)(key_of(1).layer);
    push(*sink, 1);
  }
  cache_->end_build(fill);
  EXPECT_EQ(loaded(*layer(1), 1), 0u);
  EXPECT_THAT(left_behind(), IsEmpty());
}

TEST_F(BuiltLayers, HaveAsMuchAsThereIsRoom) {
  build(1, 5 * OddSpans::kLength + 7);
  EXPECT_EQ(loaded(*layer(1), 1), 5u);
}

TEST_F(BuiltLayers, AreGivenUpWithOneWarningWhereTheDiskIsFull) {
  on_a_small_disk([this] {
    const CacheFill fill = cache_->begin_build(4 * spans_.stream_size());
    const LayerSinks sinks = built_layers(fill);
    for (int number = 1; number < 4; ++number) {
      const auto sink = sinks(key_of(number).layer);
      push(*sink, number);
      sink->finish(scan_of(number), sha256(as_bytes("table")));
    }
    cache_->end_build(fill);
    return std::ranges::count(log(), '\n') == 1 && log().find("going on without") != std::string::npos &&
           left_behind().empty();
  });
}

TEST_F(BuiltLayers, EvictWhatWasUsedLeastRecentlyButHalfOfTheLimitAtMost) {
  const uint64_t limit = 3 * spans_.stream_size();
  reopen(limit);
  fill(*layer(1), 1);
  fill(*layer(2), 2);
  fill(*layer(3), 3);
  const CacheFill lent = cache_->begin_build(10 * limit);
  EXPECT_LE(lent.room, limit * 6 / 10);
  EXPECT_GE(lent.room, limit * 4 / 10);
  EXPECT_GE(loaded(*layer(1), 1) + loaded(*layer(2), 2) + loaded(*layer(3), 3), 15u);
  cache_->end_build(lent);
}

TEST_F(BuiltLayers, EvictNothingThatIsPinned) {
  reopen(2 * spans_.stream_size() + kMiB);
  fill(*layer(1), 1);
  fill(*layer(2), 2);
  cache_->pin("one", {layer(1), layer(2)});
  build(3);
  EXPECT_EQ(loaded(*layer(1), 1) + loaded(*layer(2), 2), 24u);
  EXPECT_LT(loaded(*layer(3), 3), 12u);
}

TEST_F(BuiltLayers, RoomThatWasLentIsGivenToNobodyElse) {
  reopen(2 * spans_.stream_size());
  const CacheFill lent = cache_->begin_build(spans_.stream_size());
  fill(*layer(1), 1);
  fill(*layer(2), 2);
  EXPECT_LE(loaded(*layer(1), 1) + loaded(*layer(2), 2), 13u);
  cache_->end_build(lent);
}

TEST_F(BuiltLayers, ThatAKilledDaemonLeftAreDropped) {
  const CacheFill fill = cache_->begin_build(spans_.stream_size());
  const auto sink = built_layers(fill)(key_of(1).layer);
  push(*sink, 1);
  sink->finish(scan_of(1), sha256(as_bytes("table")));
  EXPECT_FALSE(left_behind().empty());
  reopen();
  EXPECT_THAT(left_behind(), IsEmpty());
  EXPECT_EQ(loaded(*layer(1), 1), 0u);
}

TEST_F(BuiltLayers, WhoseDataWasAlteredAreNotServed) {
  const CacheFill fill = cache_->begin_build(spans_.stream_size());
  const auto sink = built_layers(fill)(key_of(1).layer);
  push(*sink, 1);
  sink->finish(scan_of(1), sha256(as_bytes("table")));
  flip(file(1, kBuiltData), 3 * OddSpans::kLength + 17);
  cache_->end_build(fill);
  EXPECT_EQ(loaded(*layer(1), 1), 11u);
  EXPECT_THAT(log(), HasSubstr("span 3: its bytes differ from their checksum"));
}

}  // namespace
}  // namespace erofs_oci
