// SPDX-License-Identifier: Apache-2.0
// Read-ahead by a device: see SequentialReaders for who is read ahead.
#include "source/device_fixture.h"

namespace erofs_oci {
namespace {

constexpr uint64_t kBlock = 128 * kKiB;

class ReadAhead : public testing::DeviceFixture {
 protected:
  /// Reads [begin, end) of the blob in blocks, each checked.
  void read_through(uint64_t begin, uint64_t end) {
    for (uint64_t offset = begin; offset < end; offset += kBlock) {
      const ByteRange range{kBlobOffset + offset, kBlock};
      const ReadResult result = read(range);
      ASSERT_EQ(result.errno_value, 0) << last_error_;
      ASSERT_EQ(testing::flatten(result), expected(range)) << to_string(range);
    }
  }
  uint64_t misses() const { return device_->counters().misses; }
};

TEST_F(ReadAhead, SequentialReaderFindsInMemoryWhatWasFetchedOnce) {
  make(32 * kMiB);
  read_through(0, 32 * kMiB);
  EXPECT_EQ(blob_->bytes, 32 * kMiB);
  EXPECT_LE(misses(), 4u);
}

TEST_F(ReadAhead, FetchesLittleMoreThanWasRead) {
  make(32 * kMiB);
  read_through(0, 12 * kMiB);
  EXPECT_GT(blob_->bytes, 13 * kMiB);
  EXPECT_LE(blob_->bytes, 19 * kMiB);
}

TEST_F(ReadAhead, HoldsAQuarterOfMemoryAtMost) {
  make(32 * kMiB, 8 * kMiB);
  read_through(0, 12 * kMiB);
  EXPECT_LE(blob_->bytes, 14 * kMiB);
  read_through(12 * kMiB, 32 * kMiB);
  EXPECT_EQ(blob_->bytes, 32 * kMiB);
}

TEST_F(ReadAhead, FailureIsNoReadersFailure) {
  make(32 * kMiB);
  read_through(0, SequentialReaders::kShortRun - kBlock);
  blob_->failures = 1;
  read_through(SequentialReaders::kShortRun - kBlock, 32 * kMiB);
  EXPECT_EQ(blob_->failures, 0);
}

TEST_F(ReadAhead, ReaderJoinsWhatIsUnderWay) {
  make(32 * kMiB);
  read_through(0, SequentialReaders::kShortRun - kBlock);
  blob_->held = true;
  read_through(SequentialReaders::kShortRun - kBlock, SequentialReaders::kShortRun);
  const int reads = blob_->reads;
  const ByteRange range{kBlobOffset + SequentialReaders::kShortRun, kBlock};
  auto pending = start_read(range);
  EXPECT_EQ(blob_->reads, reads);
  blob_->release();
  EXPECT_EQ(testing::flatten(pending.get()), expected(range));
}

TEST_F(ReadAhead, NothingIsKeptForADeviceThatIsGone) {
  make(32 * kMiB);
  read_through(0, SequentialReaders::kShortRun - kBlock);
  blob_->held = true;
  read_through(SequentialReaders::kShortRun - kBlock, SequentialReaders::kShortRun);
  device_.reset();
  EXPECT_GT(memory_->used(), 0u);
  blob_->release();
  EXPECT_EQ(memory_->used(), 0u);
}

}  // namespace
}  // namespace erofs_oci
