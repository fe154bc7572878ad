// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <filesystem>

#include "index/builder.h"
#include "source/device_fixture.h"
#include "source/indexed_spans.h"
#include "source/local_file.h"
#include "tar/archive.h"

namespace erofs_oci {
namespace {

using std::chrono::seconds;

constexpr uint64_t kOdd = 12345;
constexpr uint64_t kLargest = MappedDevice::kMaxRead;

struct Case {
  std::string name;
  bool verified;
  uint64_t memory_limit;
};

/// A tar of one large file, whose spans are stored as they are, answered by other threads: a span's memory
/// comes free only once it can be evicted.
class MemoryPressure : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    std::string data(100 * kMiB, '\0');
    for (size_t i = 0; i < data.size(); i += 64) data[i] = static_cast<char>((i * 2654435761u) >> 13);
    tar_ = header({.size = octal(data.size())}) + data + std::string(2 * kTarBlock, '\0');
    blob_ = std::make_shared<LocalFile>(testing::memory_file(as_bytes(tar_)), "layer", workers_);
    stream_ = std::make_shared<Stream>(blob_, spans());
    DeviceParts parts;
    parts.map = share(ExtentMap({{0, 0, tar_.size(), 0}}));
    parts.streams = {stream_};
    device_ = std::make_shared<MappedDevice>(std::move(parts), loader_, nullptr);
  }

  std::unique_ptr<const SpanTable> spans() {
    if (!GetParam().verified) return std::make_unique<PlainSpans>(tar_.size());
    UniqueFd file(::memfd_create("index", MFD_CLOEXEC));
    build_image_index({.layers = {{.blob = blob_}}}, {.scratch = std::filesystem::temp_directory_path()},
                      file.get(), "index");
    return std::make_unique<IndexedSpans>(std::make_shared<ImageIndex>(std::move(file), "index"), 0);
  }

  std::future<ReadResult> start_read(ByteRange range) {
    auto promise = std::make_shared<std::promise<ReadResult>>();
    device_->read(range, [promise](ReadResult result) { promise->set_value(std::move(result)); });
    return promise->get_future();
  }
  void expect_data(std::future<ReadResult>& pending, ByteRange range) {
    ASSERT_EQ(pending.wait_for(seconds(20)), std::future_status::ready) << to_string(range);
    const auto bytes = testing::flatten(pending.get());
    EXPECT_TRUE(std::ranges::equal(bytes, as_bytes(tar_).subspan(range.offset, range.length)))
        << to_string(range);
  }

  std::string tar_;
  MemoryBound memory_{GetParam().memory_limit};
  WorkerPool workers_{2};
  SpanLoader loader_{memory_, workers_};
  std::shared_ptr<RangeReader> blob_;
  std::shared_ptr<Stream> stream_;
  std::shared_ptr<MappedDevice> device_;
};

TEST_P(MemoryPressure, AnUnalignedLargestReadEnds) {
  auto pending = start_read({kOdd, kLargest});
  expect_data(pending, {kOdd, kLargest});
}

TEST_P(MemoryPressure, SeveralLargestReadsEnd) {
  std::vector<std::future<ReadResult>> reads;
  for (uint64_t i = 0; i < 6; ++i) reads.push_back(start_read({kOdd + i * 11 * kMiB, kLargest}));
  for (uint64_t i = 0; i < 6; ++i) expect_data(reads[i], {kOdd + i * 11 * kMiB, kLargest});
}

TEST_P(MemoryPressure, AShortReadOverTwoSpansPointsToThem) {
  const ReadResult result = start_read({kOdd, 1 * kMiB}).get();
  ASSERT_EQ(result.errno_value, 0);
  EXPECT_EQ(result.payload.size(), 2u);
}

TEST_P(MemoryPressure, AHitIsAnsweredAmongManyLargestReads) {
  start_read({0, 4096}).get();
  ReadResult kept = start_read({0, 4096}).get();  // so that the span stays
  std::vector<std::future<ReadResult>> reads;
  for (uint64_t i = 0; i < 128; ++i) reads.push_back(start_read({kOdd + i * 4096, kLargest}));
  auto hit = start_read({512, 4096});
  EXPECT_EQ(hit.wait_for(seconds(0)), std::future_status::ready);
  hit = {};
  kept = {};
  for (auto& pending : reads) {
    ASSERT_EQ(pending.wait_for(seconds(60)), std::future_status::ready);
    EXPECT_EQ(pending.get().errno_value, 0);
  }
}

TEST_P(MemoryPressure, ASpanIsEvictedForALoadOnceItsReplyIsSent) {
  std::vector<ReadResult> replies;
  while (memory_.used() < memory_.limit()) replies.push_back(start_read({replies.size() * kMiB, 4096}).get());
  auto waiting = start_read({90 * kMiB, 4096});
  EXPECT_EQ(waiting.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
  replies.clear();
  expect_data(waiting, {90 * kMiB, 4096});
}

INSTANTIATE_TEST_SUITE_P(Spans, MemoryPressure,
                         ::testing::Values(Case{"plain64", false, 64 * kMiB},
                                           Case{"plain32", false, 32 * kMiB},
                                           Case{"verified64", true, 64 * kMiB},
                                           Case{"verified32", true, 32 * kMiB}),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace erofs_oci
