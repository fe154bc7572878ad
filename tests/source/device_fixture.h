// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <future>

#include "base/file.h"
#include "source/fake_blob.h"
#include "source/mapped_device.h"
#include "source/plain_spans.h"

namespace erofs_oci::testing {

/// The bytes of a result in one piece; empty on an error.
inline std::vector<std::byte> flatten(const ReadResult& result) {
  std::vector<std::byte> out;
  for (const Slice& slice : result.payload) out.insert(out.end(), slice.bytes.begin(), slice.bytes.end());
  return out;
}

inline UniqueFd memory_file(Bytes bytes) {
  UniqueFd file(::memfd_create("test", MFD_CLOEXEC));
  write_all(file.get(), bytes, "memfd");
  return file;
}

/// A device of 8 KiB of metadata, a gap of 4 KiB and a plain blob.
class DeviceFixture : public ::testing::Test {
 protected:
  static constexpr uint64_t kBlobOffset = 12 * kKiB;

  void make(size_t blob_size, uint64_t memory_limit = 64 * kMiB) {
    metadata_ = pattern(8 * kKiB);
    data_ = pattern(blob_size);
    blob_ = std::make_shared<FakeBlob>(data_);
    memory_ = std::make_unique<MemoryBound>(memory_limit);
    loader_ = std::make_unique<SpanLoader>(*memory_, *workers_);
    DeviceParts parts;
    parts.name = "test";
    parts.map = share(ExtentMap({{0, 0, 8 * kKiB, kMetadata}, {kBlobOffset, 0, blob_size, 0}}));
    parts.metadata = memory_file(metadata_);
    parts.layers = {"sha256:of the blob"};
    parts.streams = {std::make_shared<Stream>(blob_, std::make_unique<PlainSpans>(blob_size))};
    device_ = std::make_shared<MappedDevice>(
        std::move(parts), *loader_, [this](const FailedRead& read, const Error& error) {
          last_failure_ = read;
          last_error_ = error.what();
        });
  }

  std::future<ReadResult> start_read(ByteRange range) {
    auto promise = std::make_shared<std::promise<ReadResult>>();
    device_->read(range, [promise](ReadResult result) { promise->set_value(std::move(result)); });
    return promise->get_future();
  }
  ReadResult read(ByteRange range) { return start_read(range).get(); }

  /// What the device holds at `range`, by definition of the fixture.
  std::vector<std::byte> expected(ByteRange range) const {
    std::vector<std::byte> out(range.length);
    for (uint64_t i = 0; i < range.length; ++i) {
      const uint64_t at = range.offset + i;
      if (at < metadata_.size()) out[i] = metadata_[at];
      if (at >= kBlobOffset && at - kBlobOffset < data_.size()) out[i] = data_[at - kBlobOffset];
    }
    return out;
  }

  std::vector<std::byte> metadata_;
  std::vector<std::byte> data_;
  std::shared_ptr<FakeBlob> blob_;
  FailedRead last_failure_;
  std::string last_error_;
  std::unique_ptr<MemoryBound> memory_;
  std::unique_ptr<SpanLoader> loader_;
  std::unique_ptr<WorkerPool> workers_ = std::make_unique<WorkerPool>(2);
  std::shared_ptr<MappedDevice> device_;
};

}  // namespace erofs_oci::testing
