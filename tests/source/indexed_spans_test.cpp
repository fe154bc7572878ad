// SPDX-License-Identifier: Apache-2.0
#include "source/indexed_spans.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "index/building.h"
#include "index/crafting.h"
#include "source/device_fixture.h"

namespace erofs_oci {
namespace {

using namespace testing;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::shared_ptr<const ImageIndex> index_of(const std::string& bytes) {
  return std::make_shared<ImageIndex>(fd_of(bytes), "x.index");
}

std::vector<std::byte> decode(const IndexedSpans& spans, size_t span, const std::string& blob) {
  const ByteRange stored = spans.stored(span);
  std::vector<std::byte> out(spans.output(span).length);
  spans.decode(span, as_bytes(blob).subspan(stored.offset, stored.length), out);
  return out;
}

class SpansOf : public ::testing::TestWithParam<Form> {};

INSTANTIATE_TEST_SUITE_P(Form, SpansOf, ::testing::ValuesIn(forms()),
                         [](const auto& which) { return std::string(which.param.name); });

TEST_P(SpansOf, EachAloneIsItsPartOfTheStream) {
  const std::string tar = varied_archive();
  const std::string blob = GetParam().compress(tar);
  const IndexedSpans spans(index_of(build_index(image_input({blob}))), 0);
  EXPECT_EQ(spans.stream_size(), tar.size());
  EXPECT_EQ(spans.is_identity(), GetParam().format == StreamFormat::plain);
  uint64_t end = 0;
  for (size_t i = spans.span_count(); i-- > 0;) {  // the last first: none needs another
    const ByteRange output = spans.output(i);
    EXPECT_TRUE(as_text(decode(spans, i, blob)) == tar.substr(output.offset, output.length)) << i;
    EXPECT_EQ(spans.find(output.offset), i);
    EXPECT_EQ(spans.find(output.end() - 1), i);
    EXPECT_TRUE(end == 0 || end == output.end());
    end = output.offset;
  }
  EXPECT_EQ(end, 0u);
}

/// What is stored behind the last byte of output belongs to the last span, and is in its digest.
TEST_P(SpansOf, TheLastOneMayEndWithTheStreamAtASpansEnd) {
  const std::string tar = member_of("a", prose(2 * kTestSpan - 3 * kTarBlock)) + end_blocks();
  ASSERT_EQ(tar.size(), 2 * kTestSpan);
  const std::string blob = GetParam().compress(tar);
  const IndexedSpans spans(index_of(build_index(image_input({blob}))), 0);
  if (std::string(GetParam().name) == "gzip_flushed") {
    ASSERT_EQ(spans.span_count(), 2u);
    std::string damaged = blob;
    damaged.back() ^= 1;
    EXPECT_THAT(failure_of([&] { decode(spans, 1, damaged); }), StartsWith("corrupt: "));
  }
  for (size_t i = 0; i < spans.span_count(); ++i) {
    const ByteRange output = spans.output(i);
    EXPECT_TRUE(as_text(decode(spans, i, blob)) == tar.substr(output.offset, output.length)) << i;
  }
}

TEST_P(SpansOf, StoredBytesThatDifferAreNoticed) {
  const std::string blob = GetParam().compress(varied_archive());
  const IndexedSpans spans(index_of(build_index(image_input({blob}))), 0);
  for (size_t i = 0; i < spans.span_count(); ++i) {
    const ByteRange stored = spans.stored(i);
    std::string damaged = blob;
    const uint64_t middle = stored.offset + stored.length / 3;
    damaged[middle] = static_cast<char>(damaged[middle] ^ 0x10);
    std::vector<std::byte> out;
    const std::string failure = failure_of([&] { out = decode(spans, i, damaged); });
    // What differs may be what is skipped, which gzip's digest covers as well: a frame to be skipped.
    if (failure == "none" && GetParam().format == StreamFormat::zstd) {
      EXPECT_TRUE(out == decode(spans, i, blob)) << i;
    } else {
      EXPECT_THAT(failure, StartsWith("corrupt: "));
    }
  }
}

TEST_P(SpansOf, StoredBytesThatAreCutAreNoticed) {
  if (GetParam().format == StreamFormat::plain) return;  // a loader never gives too few
  const std::string blob = GetParam().compress(varied_archive());
  const IndexedSpans spans(index_of(build_index(image_input({blob}))), 0);
  const ByteRange stored = spans.stored(1 % spans.span_count());
  for (const uint64_t length : {uint64_t{0}, uint64_t{1}, uint64_t{2}, stored.length / 2}) {
    std::vector<std::byte> out(spans.output(1 % spans.span_count()).length);
    EXPECT_THAT(failure_of([&] {
                  spans.decode(1 % spans.span_count(), as_bytes(blob).subspan(stored.offset, length), out);
                }),
                StartsWith("corrupt: "))
        << length;
  }
}

struct Loading {
  Loading(const std::string& bytes, std::shared_ptr<FakeBlob> blob)
      : stream(std::make_shared<const Stream>(blob, std::make_unique<IndexedSpans>(index_of(bytes), 0))) {}

  SpanResult load(size_t span) {
    std::promise<SpanResult> promise;
    loader.load(stream, span, Priority::foreground,
                [&](SpanResult result) { promise.set_value(std::move(result)); });
    return promise.get_future().get();
  }

  WorkerPool workers{2};
  MemoryBound memory{64 * kMiB};
  SpanLoader loader{memory, workers};
  std::shared_ptr<const Stream> stream;
};

TEST_P(SpansOf, LoaderFetchesAgainOnceWhatDiffersFromItsDigest) {
  const std::string tar = varied_archive();
  const std::string stored = GetParam().compress(tar);
  const auto blob =
      std::make_shared<FakeBlob>(std::vector<std::byte>(as_bytes(stored).begin(), as_bytes(stored).end()));
  Loading loading(build_index(image_input({stored})), blob);
  blob->altered = 2;
  const SpanResult failed = loading.load(0);
  ASSERT_TRUE(failed.error);
  EXPECT_EQ(failed.error->kind(), ErrorKind::corrupt);
  EXPECT_THAT(failed.error->what(), StartsWith("fake blob: "));
  blob->altered = 1;
  const SpanResult good = loading.load(0);
  ASSERT_FALSE(good.error);
  EXPECT_TRUE(as_text(good.span->bytes()) == tar.substr(0, good.span->size()));
  EXPECT_EQ(blob->reads, 4);
}

TEST(IndexedSpans, ChangedWindowsGiveCorruptSpans) {
  const std::string blob = gzip_text(varied_archive());
  const std::string good = build_index(image_input({blob}));
  CraftedIndex crafted(good);
  const format::Part windows = crafted.part_of(format::PartType::windows);
  const auto index = index_of(good);
  const IndexedSpans right(index, 0);
  size_t changed = 0;
  for (size_t i = 0; i < right.span_count(); ++i) {
    const ScannedSpan& span = index->spans(0)[i];
    for (uint32_t at = 0; at < span.window_size; at += 101) {
      std::string bytes = good;
      const uint64_t place = windows.offset + span.window_offset + at;
      bytes[place] = static_cast<char>(~bytes[place]);
      const IndexedSpans spans(index_of(bytes), 0);
      EXPECT_THAT(failure_of([&] { decode(spans, i, blob); }), AllOf(StartsWith("corrupt: "), HasSubstr("or the window")));
      ++changed;
    }
  }
  EXPECT_GT(changed, 100u);
}

/// A digest that is right vouches for no decoder.
TEST(IndexedSpans, OutputThatDiffersFromItsChecksumIsCorrupt) {
  const std::string blob = gzip_text(varied_archive());
  CraftedIndex crafted(build_index(image_input({blob})));
  crafted.span(1).checksum ^= 1;
  crafted.repair();
  const IndexedSpans spans(index_of(crafted.bytes()), 0);
  EXPECT_EQ(failure_of([&] { decode(spans, 0, blob); }), "none");
  EXPECT_THAT(failure_of([&] { decode(spans, 1, blob); }), AllOf(StartsWith("corrupt: "), HasSubstr("of its stream differ")));
}

TEST(IndexedSpans, RefusesASpanThatNeedsTooMuchMemory) {
  const std::string tar = member_of("zeros", std::string(200'000, '\0')) + end_blocks();
  const std::string blob = zstd_skippable(40 * kMiB) + zstd_frames(tar, SIZE_MAX / 2);
  EXPECT_THAT(failure_of([&] { IndexedSpans(index_of(build_index(image_input({blob}))), 0); }),
              AllOf(StartsWith("unsupported: layer sha256:"), HasSubstr("cannot be read at random: "),
                    HasSubstr("as zstd with many frames")));
}

TEST(IndexedSpans, LongFramesAreCutIntoSpansThatAreDecodedTogether) {
  const std::string tar = member_of("a", prose(1000)) + member_of("zeros", std::string(9 * kMiB, '\0')) + end_blocks();
  const std::string blob = zstd_frames(tar.substr(0, 100'000), SIZE_MAX / 2) + zstd_frames(tar.substr(100'000), SIZE_MAX / 2);
  const IndexedSpans spans(index_of(build_index(image_input({blob}))), 0);
  ASSERT_EQ(spans.span_count(), 4u);
  EXPECT_EQ(spans.group(0).count, 1u);
  for (size_t i = 1; i < 4; ++i) {
    const ByteRange output = spans.output(i);
    EXPECT_EQ(spans.group(i).first, 1u);
    EXPECT_EQ(spans.group(i).count, 3u);
    EXPECT_TRUE(as_text(decode(spans, i, blob)) == tar.substr(output.offset, output.length)) << i;
  }
}

TEST(IndexedSpans, AnEmptyStreamHasNone) {
  for (const std::string& blob : {std::string(), gzip_text("")}) {
    const IndexedSpans spans(index_of(build_index(image_input({blob}))), 0);
    EXPECT_EQ(spans.span_count(), 0u);
    EXPECT_EQ(spans.stream_size(), 0u);
  }
}

}  // namespace
}  // namespace erofs_oci
