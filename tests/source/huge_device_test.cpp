// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "source/device_fixture.h"

namespace erofs_oci {
namespace {

constexpr uint64_t kTiB = 1024 * kGiB;

/// A blob whose every byte follows from its offset, of any size.
class ComputedBlob : public RangeReader {
 public:
  explicit ComputedBlob(uint64_t size) : size_(size) {}
  static std::byte at(uint64_t offset) { return static_cast<std::byte>((offset >> 20) ^ offset); }

  uint64_t size_bytes() const override { return size_; }
  std::string name() const override { return "computed blob"; }
  void read(ByteRange range, MutableBytes out, Priority, RangeDone done) override {
    for (uint64_t i = 0; i < range.length; ++i) out[i] = at(range.offset + i);
    done(std::nullopt);
  }

 private:
  uint64_t size_;
};

class HugeDevice : public ::testing::TestWithParam<uint64_t> {};

TEST_P(HugeDevice, ReadsRightAtItsEndAndZerosBehind) {
  const uint64_t size = GetParam();
  WorkerPool workers(1);
  MemoryBound memory(64 * kMiB);
  SpanLoader loader(memory, workers);
  DeviceParts parts;
  parts.map = share(ExtentMap({{0, 0, size, 0}}));
  parts.streams = {std::make_shared<Stream>(std::make_shared<ComputedBlob>(size), std::make_unique<PlainSpans>(size))};
  const auto device = std::make_shared<MappedDevice>(std::move(parts), loader, nullptr);
  std::promise<ReadResult> promise;
  device->read({size - 5000, 10'000}, [&](ReadResult result) { promise.set_value(std::move(result)); });
  const auto bytes = testing::flatten(promise.get_future().get());
  ASSERT_EQ(bytes.size(), 10'000u);
  for (uint64_t i = 0; i < bytes.size(); ++i) {
    ASSERT_EQ(bytes[i], i < 5000 ? ComputedBlob::at(size - 5000 + i) : std::byte{0}) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, HugeDevice,
                         ::testing::Values(4 * kGiB - 1, 4 * kGiB + 1, 3 * kTiB, (1ULL << 62) + 12345,
                                           (1ULL << 63) - 2 * kMiB - 1));

}  // namespace
}  // namespace erofs_oci
