// SPDX-License-Identifier: Apache-2.0
// Registries that ignore ranges, for ever or until they have the blob themselves.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "registry/blob.h"
#include "registry/blob_fixture.h"

namespace erofs_oci::registry {
namespace {

using test::BlobTest;
using test::error_of;
using test::PendingRead;
using test::Reply;
using test::SeenRequest;
using testing::HasSubstr;

/// A pull-through cache: sends the whole of a blob that it does not have, and has it when all was taken.
class WholeBodyTest : public BlobTest {
 protected:
  void make_large() {
    large_ = test::sample(kMaxWholeBlob + 3 * kMiB);
    descriptor_ = server_.add_blob(large_);
  }
  void ignore_ranges(bool for_ever) {
    server_.intercept([this, for_ever](const SeenRequest& request) -> std::optional<Reply> {
      if (!for_ever && cached_) return std::nullopt;
      // A client that asks without a range takes all: only such a request fills this cache.
      if (!request.range()) cached_ = true;
      return Reply::text(200, large_.empty() ? content_ : large_);
    });
  }

  std::string large_;
  std::atomic<bool> cached_ = false;
};

TEST_F(WholeBodyTest, ASmallBlobIsKeptWhole) {
  ignore_ranges(/*for_ever=*/true);
  const auto blob = open();
  const size_t requests = blob_requests().size();
  EXPECT_EQ(read(*blob, {150'000, 1000}), content_.substr(150'000, 1000));
  EXPECT_EQ(blob_requests().size(), requests);
}

TEST_F(WholeBodyTest, ABlobThatIsKeptWholeIsVerified) {
  descriptor_.digest.value[0] ^= std::byte{1};
  ignore_ranges(/*for_ever=*/true);
  EXPECT_EQ(error_of([&] { open(); }).kind(), ErrorKind::corrupt);
}

TEST_F(WholeBodyTest, ALargeBlobMayWarmUpTheCache) {
  make_large();
  ignore_ranges(/*for_ever=*/false);
  const auto blob = open();
  EXPECT_EQ(read(*blob, {10 * kMiB, 1000}), large_.substr(10 * kMiB, 1000));
  EXPECT_EQ(blob_requests().size(), 4u);  // probe, whole, probe, read
}

TEST_F(WholeBodyTest, ALargeBlobWithoutRangesIsUnsupported) {
  make_large();
  ignore_ranges(/*for_ever=*/true);
  const Error error = error_of([&] { open(); });
  EXPECT_EQ(error.kind(), ErrorKind::unsupported);
  EXPECT_THAT(error.what(), HasSubstr("the registry ignores ranges"));
  EXPECT_EQ(blob_requests().size(), 3u);
}

TEST_F(WholeBodyTest, ACacheThatLostTheBlobIsWarmedUpOnceForAllReads) {
  make_large();
  const auto blob = open(RetrySettings());
  ignore_ranges(/*for_ever=*/false);
  PendingRead first(*blob, {6 * kMiB, 1000}), second(*blob, {12 * kMiB, 1000});
  EXPECT_EQ(first.wait(), large_.substr(6 * kMiB, 1000));
  EXPECT_EQ(second.wait(), large_.substr(12 * kMiB, 1000));
  size_t whole = 0;
  for (const SeenRequest& request : blob_requests()) whole += !request.range();
  EXPECT_EQ(whole, 1u);
}

TEST_F(WholeBodyTest, ARegistryThatLosesItsRangesIsUnsupportedToDeepReads) {
  make_large();
  const auto blob = open(RetrySettings());
  ignore_ranges(/*for_ever=*/true);
  EXPECT_EQ(read(*blob, {kMiB, 1000}), large_.substr(kMiB, 1000));
  EXPECT_EQ(error_of([&] { read(*blob, {12 * kMiB, 1000}); }).kind(), ErrorKind::unsupported);
}

}  // namespace
}  // namespace erofs_oci::registry
