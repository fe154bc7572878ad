// SPDX-License-Identifier: Apache-2.0
#include "source/zinfo_spans.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "gzip/gzip_testing.h"
#include "source/device_fixture.h"

namespace erofs_oci {
namespace {

const std::string kData = TEST_DATA_DIR;

struct Blob {
  explicit Blob(const std::string& name)
      : stored(read_text_file(kData + "/" + name, 64 * kMiB)), tar(testing::gunzip_with_zlib(as_bytes(stored))) {}
  Zinfo zinfo(const std::string& name) const {
    return Zinfo(open_file(kData + "/" + name, O_RDONLY), name, stored.size());
  }
  std::string stored;
  std::vector<std::byte> tar;
};

TEST(ZinfoSpans, ServeTheGoldenLayerThroughADevice) {
  const Blob blob("layer.tar.gz");
  auto fake = std::make_shared<testing::FakeBlob>(
      std::vector<std::byte>(as_bytes(blob.stored).begin(), as_bytes(blob.stored).end()));
  WorkerPool workers(2);
  MemoryBound memory(64 * kMiB);
  SpanLoader loader(memory, workers);
  DeviceParts parts;
  parts.map = share(ExtentMap({{0, 0, blob.tar.size(), 0}}));
  parts.streams = {std::make_shared<Stream>(
      fake, std::make_unique<ZinfoSpans>(blob.zinfo("layer.zinfo"), blob.tar.size()))};
  auto device = std::make_shared<MappedDevice>(std::move(parts), loader, nullptr);
  std::promise<ReadResult> promise;
  device->read({0, blob.tar.size()}, [&](ReadResult result) { promise.set_value(std::move(result)); });
  EXPECT_EQ(testing::flatten(promise.get_future().get()), blob.tar);
  EXPECT_LE(fake->bytes, blob.stored.size());
}

TEST(ZinfoSpans, FetchesAgainOnceWhenBytesAreCorrupt) {
  const Blob blob("layer.tar.gz");
  auto fake = std::make_shared<testing::FakeBlob>(
      std::vector<std::byte>(as_bytes(blob.stored).begin(), as_bytes(blob.stored).end()));
  WorkerPool workers(1);
  MemoryBound memory(64 * kMiB);
  SpanLoader loader(memory, workers);
  const auto stream = std::make_shared<const Stream>(
      fake, std::make_unique<ZinfoSpans>(blob.zinfo("layer.zinfo"), blob.tar.size()));
  const auto load = [&] {
    std::promise<SpanResult> promise;
    loader.load(stream, 0, Priority::foreground, [&](SpanResult result) { promise.set_value(std::move(result)); });
    return promise.get_future().get();
  };
  fake->altered = 2;
  const SpanResult failed = load();
  ASSERT_TRUE(failed.error);
  EXPECT_EQ(failed.error->kind(), ErrorKind::corrupt);
  EXPECT_EQ(fake->distrusted, 1) << "the second time it is to come another way";
  fake->altered = 1;
  EXPECT_FALSE(load().error);
}

TEST(ZinfoSpans, PadsAnUnfinishedLastBlockAndNothingMore) {
  const Blob blob("layer.tar.gz");
  const auto decode_last = [&](uint64_t stream_size) {
    const ZinfoSpans spans(blob.zinfo("layer.zinfo"), stream_size);
    const size_t last = spans.span_count() - 1;
    std::vector<std::byte> out(spans.output(last).length, std::byte{1});
    const ByteRange range = spans.stored(last);
    spans.decode(last, as_bytes(blob.stored).subspan(range.offset, range.length), out);
    return out.back();
  };
  EXPECT_EQ(decode_last(blob.tar.size() + 511), std::byte{0});
  EXPECT_THROW(decode_last(blob.tar.size() + 512), Error);
}

TEST(ZinfoSpans, MeasuresTheStreamFromItsLastSpan) {
  const Blob blob("members.tar.gz");
  const Zinfo zinfo = blob.zinfo("members.zinfo");
  const ByteRange range = zinfo.compressed_range(zinfo.span_count() - 1);
  EXPECT_EQ(measure_stream(zinfo, as_bytes(blob.stored).subspan(range.offset, range.length)), blob.tar.size());
}

/// A layer and its zinfo with a byte of one window altered.
class DamagedWindow : public ::testing::Test {
 protected:
  static constexpr size_t kDamaged = 1;
  void make(size_t place, char value, size_t count = 1) {
    std::string zinfo = read_text_file(kData + "/layer.zinfo", 64 * kMiB);
    zinfo.replace(12 + kDamaged * (17 + kWindowSize) + 17 + place, count, count, value);
    stream_ = std::make_shared<Stream>(
        std::make_shared<testing::FakeBlob>(
            std::vector<std::byte>(as_bytes(blob_.stored).begin(), as_bytes(blob_.stored).end())),
        std::make_unique<ZinfoSpans>(
            Zinfo(testing::memory_file(as_bytes(zinfo)), "layer.zinfo", blob_.stored.size()),
            blob_.tar.size()));
  }
  std::string load(size_t span) {
    std::promise<SpanResult> promise;
    loader_.load(stream_, span, Priority::foreground,
                 [&](SpanResult result) { promise.set_value(std::move(result)); });
    const SpanResult result = promise.get_future().get();
    return result.error ? result.error->what() : "loaded";
  }

  const Blob blob_{"layer.tar.gz"};
  WorkerPool workers_{1};
  MemoryBound memory_{64 * kMiB};
  SpanLoader loader_{memory_, workers_};
  std::shared_ptr<const Stream> stream_;
};

TEST_F(DamagedWindow, IsFoundWhenTheSpanBeforeItIsRead) {
  make(kWindowSize - 5, '\x7f');
  EXPECT_THAT(load(kDamaged - 1),
              ::testing::HasSubstr("layer.zinfo: its window of span 1 is not what span 0"));
  EXPECT_THAT(load(kDamaged), ::testing::HasSubstr("window of span 1"));
}

TEST_F(DamagedWindow, ThatLeftOutWhatItsSpanRefersToIsFoundWhenThatIsRead) {
  make(0, '\0', kWindowSize);
  const auto first = stream_;
  EXPECT_EQ(load(kDamaged - 1), "loaded") << "nothing need refer to what was left out";
  make(0, '\0', kWindowSize);  // another's windows
  EXPECT_EQ(load(kDamaged - 1), "loaded");
  stream_.reset();
  stream_ = first;
  EXPECT_THAT(load(kDamaged), ::testing::HasSubstr("window of span 1"));
}

TEST_F(DamagedWindow, RefusesASpanThatMemoryHolds) {
  make(kWindowSize - 5, '\x7f');
  EXPECT_EQ(load(kDamaged), "loaded");  // nothing was known of it
  EXPECT_TRUE(loader_.find(*stream_, kDamaged));
  EXPECT_THAT(load(kDamaged - 1), ::testing::HasSubstr("window of span 1"));
  EXPECT_FALSE(loader_.find(*stream_, kDamaged));
  EXPECT_THAT(load(kDamaged), ::testing::HasSubstr("window of span 1"));
}

TEST(ZinfoSpans, EveryWindowOfTheGoldenFilesIsWhatTheLayerHas) {
  for (const char* name : {"layer", "members"}) {
    const Blob blob(std::string(name) + ".tar.gz");
    const ZinfoSpans spans(blob.zinfo(std::string(name) + ".zinfo"), blob.tar.size());
    for (size_t span = 0; span < spans.span_count(); ++span) {
      const ByteRange range = spans.stored(span);
      std::vector<std::byte> out(spans.output(span).length);
      EXPECT_NO_THROW(spans.decode(span, as_bytes(blob.stored).subspan(range.offset, range.length), out))
          << span;
    }
  }
}

TEST(ZinfoSpans, RefusesASpanLargerThanItsBound) {
  const Blob blob("layer.tar.gz");
  EXPECT_THROW(ZinfoSpans(blob.zinfo("layer.zinfo"), 64 * kMiB), Error);
}

TEST(ZinfoSpans, FindsTheSpanOfEveryOffset) {
  const Blob blob("members.tar.gz");
  const ZinfoSpans spans(blob.zinfo("members.zinfo"), blob.tar.size());
  for (size_t span = 0; span < spans.span_count(); ++span) {
    EXPECT_EQ(spans.find(spans.output(span).offset), span);
    EXPECT_EQ(spans.find(spans.output(span).end() - 1), span);
  }
}

}  // namespace
}  // namespace erofs_oci
