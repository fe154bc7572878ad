// SPDX-License-Identifier: Apache-2.0
#include "source/span_use.h"

#include <gtest/gtest.h>

#include <future>

#include "source/fake_blob.h"
#include "source/mapped_device.h"
#include "source/plain_spans.h"

namespace erofs_oci {
namespace {

constexpr uint64_t kHeader = 512;

std::shared_ptr<const Stream> plain(std::shared_ptr<testing::FakeBlob> blob) {
  const uint64_t size = blob->size_bytes();
  return std::make_shared<Stream>(std::move(blob), std::make_unique<PlainSpans>(size));
}

std::shared_ptr<testing::FakeBlob> blob_of(uint64_t size) {
  return std::make_shared<testing::FakeBlob>(std::vector<std::byte>(size));
}

TEST(SpanUse, CountsWhatTheMapLeadsToInEachSpan) {
  const std::vector streams{plain(blob_of(6 * kMiB)), plain(blob_of(100)), plain(blob_of(0))};
  const ExtentMap map({{0, 0, kMiB, kMetadata},
                       {kMiB, kMiB - 10, 2 * kMiB + 20, 0},  // a part of span 0, all of 1 and 2, a part of 3
                       {4 * kMiB, 5, 30, 1},
                       {5 * kMiB, 6 * kMiB - 7, 50, 0},  // beyond the stream's end
                       {6 * kMiB, 0, 3, 0},              // back
                       {7 * kMiB, 3 * kMiB + 100, kMiB - 100, 0}});
  const SpanUse use(map, streams);
  const std::vector<uint64_t> used{13, SpanUse::kWhole, SpanUse::kWhole, 10 + kMiB - 100, 0, 7};
  for (uint32_t span = 0; span < used.size(); ++span) EXPECT_EQ(use.of({0, span}), used[span]) << span;
  EXPECT_EQ(use.of({1, 0}), 30u);
  EXPECT_EQ(use.runs()[0].size(), 4u);
  EXPECT_TRUE(use.runs()[2].empty());
}

/// Each span begins with a header, which nobody reads.
class ReadBetweenHeaders : public ::testing::Test {
 protected:
  ReadBetweenHeaders() {
    std::vector<Extent> extents;
    for (uint64_t span = 0; span < kSpans; ++span)
      extents.push_back({span * kMiB, span * kMiB + kHeader, kMiB - kHeader, 0});
    DeviceParts parts;
    parts.map = share(ExtentMap(std::move(extents)));
    parts.streams = {plain(blob_)};
    device_ = std::make_shared<MappedDevice>(std::move(parts), loader_, nullptr);
  }

  void read(uint64_t offset, uint64_t length) {
    std::promise<ReadResult> done;
    device_->read({offset, length}, [&](ReadResult result) { done.set_value(std::move(result)); });
    EXPECT_EQ(done.get_future().get().errno_value, 0);
  }

  static constexpr uint64_t kSpans = 40;
  std::shared_ptr<testing::FakeBlob> blob_ = blob_of(kSpans * kMiB);
  MemoryBound memory_{4 * kMiB};
  WorkerPool workers_{1};
  SpanLoader loader_{memory_, workers_};
  std::shared_ptr<MappedDevice> device_;
};

TEST_F(ReadBetweenHeaders, WhatHasBeenReadGoesBeforeWhatHasNot) {
  read(20 * kMiB, 4096);  // the rest is asked for later
  for (const uint64_t span : {0, 5, 10, 15}) {  // no run, so nothing is read ahead
    read(span * kMiB, kMiB / 2);
    read(span * kMiB + kMiB / 2, kMiB / 2 - kHeader);
  }
  const int reads = blob_->reads;
  read(20 * kMiB + 4096, 4096);
  EXPECT_EQ(blob_->reads, reads);
}

}  // namespace
}  // namespace erofs_oci
