// SPDX-License-Identifier: Apache-2.0
#include "source/mapped_device.h"

#include <gmock/gmock.h>

#include "source/device_fixture.h"

namespace erofs_oci {
namespace {

using testing::DeviceFixture;
using testing::flatten;
using std::chrono::seconds;

class MappedDeviceTest : public DeviceFixture {};

TEST_F(MappedDeviceTest, EndsInAGapOfAtLeastOneMebibyte) {
  make(5 * kMiB + 1);
  EXPECT_GE(device_->size_bytes(), kBlobOffset + 5 * kMiB + 1 + kMiB);
  EXPECT_EQ(device_->size_bytes() % 4096, 0u);
  const ByteRange end{device_->size_bytes() - kMiB, kMiB};
  EXPECT_EQ(flatten(read(end)), std::vector<std::byte>(kMiB));
  EXPECT_EQ(blob_->reads, 0);
}

TEST_F(MappedDeviceTest, ReadsAcrossEveryBorder) {
  make(5 * kMiB + 1);
  for (const ByteRange range : {ByteRange{0, 1}, {4096, 20000}, {8 * kKiB - 1, 2}, {kBlobOffset - 1, 2 * kMiB},
                                {kBlobOffset + 5 * kMiB - 5, 100}, {0, 6 * kMiB}}) {
    EXPECT_EQ(flatten(read(range)), expected(range)) << to_string(range);
  }
}

TEST_F(MappedDeviceTest, FetchesEachByteOnceInASequentialRead) {
  make(20 * kMiB);
  for (uint64_t at = 0; at < device_->size_bytes(); at += 128 * kKiB) {
    const ByteRange range = ByteRange{at, 128 * kKiB}.intersect({0, device_->size_bytes()});
    ASSERT_EQ(flatten(read(range)), expected(range));
  }
  EXPECT_EQ(blob_->bytes, data_.size());
}

TEST_F(MappedDeviceTest, JoinsReadsOfASpanThatIsUnderWay) {
  make(2 * kMiB);
  blob_->held = true;
  std::vector<std::future<ReadResult>> reads;
  for (int i = 0; i < 50; ++i) reads.push_back(start_read({kBlobOffset + 4096u * i, 4096}));
  blob_->release();
  for (int i = 0; i < 50; ++i) EXPECT_EQ(flatten(reads[i].get()), expected({kBlobOffset + 4096u * i, 4096}));
  EXPECT_EQ(blob_->reads, 1);
}

TEST_F(MappedDeviceTest, AnswersFromMemoryWhileAMissWaits) {
  make(8 * kMiB);
  read({kBlobOffset, 10});
  blob_->held = true;
  auto miss = start_read({kBlobOffset + 4 * kMiB, 10});
  EXPECT_EQ(start_read({kBlobOffset + 100, 10}).wait_for(seconds(0)), std::future_status::ready);
  EXPECT_EQ(start_read({0, 4096}).wait_for(seconds(0)), std::future_status::ready);
  EXPECT_EQ(miss.wait_for(seconds(0)), std::future_status::timeout);
  blob_->release();
  EXPECT_EQ(miss.get().errno_value, 0);
}

TEST_F(MappedDeviceTest, AFailedFetchIsAnErrorAndTheNextReadTriesAgain) {
  make(2 * kMiB);
  blob_->failures = 1;
  const ReadResult failed = read({kBlobOffset, 10});
  EXPECT_EQ(failed.errno_value, EIO);
  ASSERT_TRUE(failed.unavailable);
  EXPECT_STREQ(failed.unavailable->what(), "the fake is away");
  EXPECT_EQ(device_->counters().errors, 0u) << "whether it has failed is for a PatientDevice to say";
  EXPECT_EQ(flatten(read({kBlobOffset, 10})), expected({kBlobOffset, 10}));
}

TEST_F(MappedDeviceTest, OneFailedSpanFailsAReadOfMany) {
  make(8 * kMiB);
  blob_->failures = 1;
  const ReadResult result = read({0, 8 * kMiB});
  EXPECT_EQ(result.errno_value, EIO);
  EXPECT_TRUE(result.payload.empty());
}

TEST_F(MappedDeviceTest, ManyLargestReadsStayWithinTheBound) {
  make(70 * kMiB);
  blob_->held = true;
  std::vector<std::future<ReadResult>> reads;
  for (int i = 0; i < 128; ++i) reads.push_back(start_read({kBlobOffset + i * 4096u, 32 * kMiB}));
  EXPECT_LE(memory_->used(), 64 * kMiB);
  EXPECT_EQ(start_read({0, 4096}).wait_for(seconds(0)), std::future_status::ready);
  blob_->release();
  for (auto& pending : reads) {
    ASSERT_EQ(pending.wait_for(seconds(60)), std::future_status::ready);
    EXPECT_LE(memory_->used(), 64 * kMiB);
    const ReadResult result = pending.get();
    EXPECT_EQ(result.errno_value, 0);
  }
}

TEST_F(MappedDeviceTest, ASpanThatWaitsIsGrantedOnceAnotherCanBeEvicted) {
  make(40 * kMiB);
  blob_->held = true;
  auto pending = start_read({kBlobOffset + 12345, 32 * kMiB});  // the reply and 32 of 33 spans fill the bound
  blob_->release();
  ASSERT_EQ(pending.wait_for(seconds(20)), std::future_status::ready);
  EXPECT_EQ(flatten(pending.get()), expected({kBlobOffset + 12345, 32 * kMiB}));
}

TEST_F(MappedDeviceTest, WholeDeviceThroughASmallBoundIsRight) {
  make(40 * kMiB, 4 * kMiB);
  std::vector<std::future<ReadResult>> reads;
  for (uint64_t at = 0; at + 3 * kMiB < device_->size_bytes(); at += 3 * kMiB) reads.push_back(start_read({at, 3 * kMiB}));
  for (size_t i = 0; i < reads.size(); ++i) {
    EXPECT_EQ(flatten(reads[i].get()), expected({i * 3 * kMiB, 3 * kMiB})) << i;
  }
}

TEST_F(MappedDeviceTest, MemoryComesBackWhenTheDeviceGoes) {
  make(8 * kMiB);
  read({0, 8 * kMiB});
  EXPECT_GT(memory_->used(), 0u);
  device_.reset();
  EXPECT_EQ(memory_->used(), 0u);
}

TEST_F(MappedDeviceTest, AReplyKeepsItsBytesAfterTheSpanWasEvicted) {
  make(40 * kMiB, 4 * kMiB);
  const ReadResult kept = read({kBlobOffset, 4096});
  for (uint64_t at = 0; at < 39 * kMiB; at += kMiB) read({kBlobOffset + at, 10});
  EXPECT_EQ(flatten(kept), expected({kBlobOffset, 4096}));
}

}  // namespace
}  // namespace erofs_oci
