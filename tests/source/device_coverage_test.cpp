// SPDX-License-Identifier: Apache-2.0
#include "source/device_coverage.h"

#include <gtest/gtest.h>

#include "source/fake_blob.h"
#include "source/plain_spans.h"

namespace erofs_oci {
namespace {

/// Has some spans of a stream.
class SomeSpans : public SpanStore {
 public:
  explicit SomeSpans(std::vector<bool> kept) : kept_(std::move(kept)) {}
  bool has(size_t span) const override { return kept_[span]; }
  bool load(size_t, MutableBytes) override { return false; }
  void keep(size_t, SpanRef) override {}
  void drop(size_t) override {}
  std::vector<bool> kept() const override { return kept_; }

 private:
  std::vector<bool> kept_;
};

DeviceCoverage::Bytes coverage(std::shared_ptr<SpanStore> store) {
  MemoryBound memory{64 * kMiB};
  WorkerPool workers{1};
  SpanLoader loader{memory, workers};
  const uint64_t size = 4 * kMiB + 100;
  auto blob = std::make_shared<testing::FakeBlob>(std::vector<std::byte>(size));
  DeviceParts parts;
  // Into the spans 1, 2 and 4; the others are never read.
  parts.map = share(ExtentMap({{0, 2 * kMiB - 10, kMiB, 0}, {2 * kMiB, 4 * kMiB, 50, 0}}));
  parts.streams = {std::make_shared<Stream>(blob, std::make_unique<PlainSpans>(size), sha256(as_bytes("x")),
                                            std::move(store))};
  const auto device = std::make_shared<MappedDevice>(std::move(parts), loader, nullptr);
  return DeviceCoverage(device).now();
}

TEST(DeviceCoverage, CountsWhatTheMapLeadsTo) {
  const auto some = coverage(std::make_shared<SomeSpans>(std::vector{true, true, false, true, true}));
  EXPECT_EQ(some.total, 2 * kMiB + 100);
  EXPECT_EQ(some.kept, kMiB + 100);
  const auto all = coverage(std::make_shared<SomeSpans>(std::vector{false, true, true, false, true}));
  EXPECT_EQ(all.kept, all.total);
}

TEST(DeviceCoverage, WithoutAStoreThereIsNothingToCover) {
  EXPECT_EQ(coverage(nullptr).total, 0u);
}

}  // namespace
}  // namespace erofs_oci
