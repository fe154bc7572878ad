// SPDX-License-Identifier: Apache-2.0
#include "fuse/server.h"

#include <gmock/gmock.h>

#include "fuse/serving.h"

namespace erofs_oci::fuse {
namespace {

constexpr uint64_t kSize = 3 * kMiB + 1234;

int errno_of_read(int file, uint64_t offset) {
  char byte;
  return ::pread(file, &byte, 1, static_cast<off_t>(offset)) < 0 ? errno : 0;
}

TEST_F(FuseTest, FileHasTheDevicesSizeAndBytes) {
  serve(noise(kSize));
  const UniqueFd file = file_->open();
  EXPECT_EQ(stat_fd(file.get(), "file").st_size, static_cast<off_t>(kSize));
  EXPECT_EQ(read_range(file.get(), {0, kSize + 100}), content_);
}

TEST_F(FuseTest, ReadsBeyondTheEndAreShortOrEmpty) {
  serve(noise(10'000));
  const UniqueFd file = file_->open();
  EXPECT_EQ(read_range(file.get(), {9'990, 100}), content_.substr(9'990));
  EXPECT_EQ(read_range(file.get(), {10'000, 100}), "");
  EXPECT_EQ(read_range(file.get(), {1 * kGiB, 100}), "");
}

TEST_F(FuseTest, RefusesToBeWritten) {
  serve(noise(4096));
  EXPECT_THROW(open_file(fmt::format("/proc/self/fd/{}", file_->open().get()), O_WRONLY), Error);
}

TEST_F(FuseTest, ReaderGetsEioForAnErrorAndCanTryAgain) {
  serve(noise(kSize));
  const UniqueFd file = file_->open();
  device_->errno_value = ENOSPC;
  EXPECT_NE(errno_of_read(file.get(), 0), 0);
  device_->errno_value = 0;
  EXPECT_EQ(read_range(file.get(), {0, kSize}), content_);
}

TEST_F(FuseTest, ShortAnswerIsAnErrorAndNeverZeros) {
  serve(noise(kSize));
  const UniqueFd file = file_->open();
  device_->missing_bytes = 1;
  EXPECT_EQ(errno_of_read(file.get(), 0), EIO);
}

TEST_F(FuseTest, AnswerOfMorePiecesThanWritevTakesArrives) {
  serve(noise(kSize));
  device_->slice_bytes = 64;
  EXPECT_EQ(read_range(open_with_read_ahead(kMiB).get(), {0, kSize}), content_);
}

TEST_F(FuseTest, ReadAheadGoesUpToOneMebibyteARequest) {
  serve(noise(8 * kMiB));
  const UniqueFd reader = open_with_read_ahead(kMiB);
  for (uint64_t at = 0; at < content_.size(); at += 64 * kKiB) read_range(reader.get(), {at, 64 * kKiB});
  EXPECT_EQ(device_->largest_read(), kMiB);
}

TEST_F(FuseTest, ManyReadersWaitSideBySideAndAreAnsweredInAnyOrder) {
  constexpr uint64_t kReaders = 50;
  serve(noise(kReaders * 512 * kKiB));
  const UniqueFd file = file_->open();
  ASSERT_EQ(::posix_fadvise(file.get(), 0, 0, POSIX_FADV_RANDOM), 0);
  device_->hold();
  std::vector<std::thread> readers;
  std::atomic<int> right = 0;
  for (uint64_t i = 0; i < kReaders; ++i) {
    readers.emplace_back([&, range = ByteRange{i * 512 * kKiB, 4096}] {
      right += read_range(file.get(), range) == content_.substr(range.offset, range.length);
    });
  }
  device_->wait_for_held(kReaders);
  device_->let_go();
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(right, kReaders);
}

TEST_F(FuseTest, ClosingTheFileNeedsNoServer) {
  serve(noise(4096));
  UniqueFd file = file_->open();
  const UniqueFd connection = server_->copy_connection();
  server_->stop();
  file.reset();  // does not hang
}

TEST_F(FuseTest, RunEndsWhenTheLastUserIsGone) {
  serve(noise(kSize));
  UniqueFd file = file_->open();
  file_.reset();
  EXPECT_EQ(read_range(file.get(), {0, 4096}), content_.substr(0, 4096));
  file.reset();
  EXPECT_EQ(server_->wait(), Server::End::unmounted);
}

TEST_F(FuseTest, ReadersGetAnErrorWhenTheServerIsGoneForGood) {
  serve(noise(kSize));
  const UniqueFd file = file_->open();
  server_.reset();
  EXPECT_EQ(errno_of_read(file.get(), 2 * kMiB), ENOTCONN);
}

TEST_F(FuseTest, SuccessorGoesOnWithTheSession) {
  serve(noise(kSize));
  const UniqueFd file = file_->open();
  server_->stop();
  const RunningServer successor(server_->copy_connection(), device_, server_->copy_table());
  EXPECT_EQ(read_range(file.get(), {0, kSize}), content_);
  EXPECT_NO_THROW(file_->open());
}

TEST_F(FuseTest, SuccessorAnswersWhatWasPending) {
  serve(noise(kSize));
  const UniqueFd file = file_->open();
  device_->hold();
  std::string read;
  std::thread reader([&] { read = read_range(file.get(), {2 * kMiB, 4096}); });
  device_->wait_for_held(1);
  server_->stop();
  const auto other = std::make_shared<MemoryDevice>(content_);
  const RunningServer successor(server_->copy_connection(), other, server_->copy_table());
  reader.join();
  EXPECT_EQ(read, content_.substr(2 * kMiB, 4096));
  device_->let_go();  // the late answers of the old server are dropped
}

TEST_F(FuseTest, StopDuringHeavyReadingLosesNothing) {
  serve(noise(16 * kMiB));
  const UniqueFd file = file_->open();
  std::atomic<bool> enough = false;
  std::atomic<int> wrong = 0;
  std::vector<std::thread> readers;
  for (uint64_t seed = 0; seed < 3; ++seed) {
    readers.emplace_back([&, seed] {
      std::mt19937_64 random(seed);
      while (!enough) {
        const ByteRange range{random() % content_.size(), 100'000};
        wrong += read_range(file.get(), range) != content_.substr(range.offset, range.length);
        ::posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED);
      }
    });
  }
  for (int i = 0; i < 200; ++i) {
    server_->stop();
    server_ = std::make_unique<RunningServer>(server_->copy_connection(), device_, server_->copy_table());
  }
  enough = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace erofs_oci::fuse
