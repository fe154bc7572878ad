// SPDX-License-Identifier: Apache-2.0
#include "registry/blob.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "registry/blob_fixture.h"

namespace erofs_oci::registry {
namespace {

using std::chrono::milliseconds;
using test::BlobTest;
using test::error_of;
using test::FakeRegistry;
using test::LoopbackServer;
using test::PendingRead;
using test::Reply;
using test::SeenRequest;
using End = Reply::End;
using testing::HasSubstr;

TEST_F(BlobTest, ReadsARange) {
  const auto blob = open();
  EXPECT_EQ(read(*blob, {1000, 5000}), content_.substr(1000, 5000));
  EXPECT_EQ(read(*blob, {content_.size() - 1, 1}), content_.substr(content_.size() - 1));
  EXPECT_EQ(server_.server().seen("/v2/").back().header("Accept-Encoding"), "identity");
}

TEST_F(BlobTest, IsProbedByOneByte) {
  const auto blob = open();
  const auto seen = blob_requests();
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0].method, "GET");
  EXPECT_EQ(seen[0].header("Range"), "bytes=0-0");
}

TEST_F(BlobTest, CountsRequestsAndBytes) {
  const auto blob = open();
  const uint64_t requests = blob->counters().requests;
  read(*blob, {0, 1000});
  EXPECT_EQ(blob->counters().requests, requests + 1);
  EXPECT_EQ(blob->counters().bytes_received, 1001u);
}

TEST_F(BlobTest, AnotherSizeThanTheDescriptorsIsCorrupt) {
  descriptor_.size_bytes = 123;
  const Error error = error_of([&] { open(); });
  EXPECT_EQ(error.kind(), ErrorKind::corrupt);
  EXPECT_THAT(error.what(), HasSubstr("the registry's blob has 200000 bytes, its descriptor says 123"));
}

TEST_F(BlobTest, AnAbsentBlobIsNotFoundAtOnce) {
  descriptor_.digest.value[0] ^= std::byte{1};
  EXPECT_EQ(error_of([&] { open(); }).kind(), ErrorKind::not_found);
  EXPECT_EQ(blob_requests().size(), 1u);
}

TEST_F(BlobTest, AnEmptyBlobNeedsNoRequest) {
  descriptor_ = server_.add_blob("");
  EXPECT_EQ(open()->size_bytes(), 0u);
  EXPECT_TRUE(blob_requests().empty());
}

TEST_F(BlobTest, UsesWhatComesOfAnotherRangeAndAsksForTheRest) {
  const auto blob = open();
  server_.intercept([&](const SeenRequest& request) {
    return Reply::partial(content_, {request.range()->offset - 100, 10'000});
  });
  EXPECT_EQ(read(*blob, {50'000, 25'000}), content_.substr(50'000, 25'000));
  EXPECT_EQ(ranges_since_open(),
            (std::vector<ByteRange>{{50'000, 25'000}, {59'900, 15'100}, {69'800, 5200}}));
}

TEST_F(BlobTest, TakesContentRangeWith200) {
  const auto blob = open();
  server_.intercept([&](const SeenRequest& request) {
    Reply reply = Reply::partial(content_, *request.range());
    reply.status = 200;
    return reply;
  });
  EXPECT_EQ(read(*blob, {50'000, 25'000}), content_.substr(50'000, 25'000));
}

TEST_F(BlobTest, TakesItsPartOfAWholeBody) {
  const auto blob = open();
  server_.intercept([&](const SeenRequest&) { return Reply::text(200, content_); });
  EXPECT_EQ(read(*blob, {50'000, 25'000}), content_.substr(50'000, 25'000));
}

TEST_F(BlobTest, ResumesABodyThatWasCutWhereItWasCut) {
  for (const End end : {End::close, End::reset}) {
    const auto blob = open();
    cut_once(20'000, end);
    EXPECT_EQ(read(*blob, {10'000, 100'000}), content_.substr(10'000, 100'000));
    const auto ranges = ranges_since_open();
    ASSERT_EQ(ranges.size(), 2u);
    EXPECT_EQ(ranges[1].end(), 110'000u);
    if (end == End::close) {
      EXPECT_EQ(ranges[1].offset, 30'000u);
    }
  }
}

TEST_F(BlobTest, ResumesABodyThatStalls) {
  settings_.limits.stall = milliseconds(100);
  const auto blob = open(RetrySettings());
  cut_once(20'000, End::stall);
  EXPECT_EQ(read(*blob, {10'000, 100'000}), content_.substr(10'000, 100'000));
  EXPECT_EQ(ranges_since_open().at(1), (ByteRange{30'000, 80'000}));
}

TEST_F(BlobTest, TriesAgainWhenTheServerIsBusy) {
  for (const int status : {429, 500, 502, 503, 504}) {
    const auto blob = open();
    server_.intercept([status, busy = true](const SeenRequest&) mutable -> std::optional<Reply> {
      if (!std::exchange(busy, false)) return std::nullopt;
      return Reply::text(status, "");
    });
    EXPECT_EQ(read(*blob, {0, 100}), content_.substr(0, 100)) << status;
  }
}

TEST_F(BlobTest, WaitsAsLongAsTheServerAsks) {
  const auto blob = open(RetrySettings());
  server_.intercept([busy = true](const SeenRequest&) mutable -> std::optional<Reply> {
    if (!std::exchange(busy, false)) return std::nullopt;
    return Reply::text(429, "").with("Retry-After", "1");
  });
  const auto before = std::chrono::steady_clock::now();
  read(*blob, {0, 100});
  EXPECT_GE(std::chrono::steady_clock::now() - before, milliseconds(1000));
}

TEST_F(BlobTest, GivesUpAtItsDeadlineAndSaysWhy) {
  const auto blob = open();
  server_.intercept([](const SeenRequest&) { return Reply::text(503, ""); });
  const auto before = std::chrono::steady_clock::now();
  const Error error = error_of([&] { read(*blob, {4096, 4096}); });
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(5));
  EXPECT_EQ(error.kind(), ErrorKind::unavailable);
  EXPECT_THAT(error.what(),
              testing::MatchesRegex("reading layer sha256:.* bytes \\[4096, 8192\\): 127.0.0.1:[0-9]+ "
                                    "answered 503 after [0-9]+ tries"));
}

TEST_F(BlobTest, ASlowReadThatMovesIsNotGivenUp) {
  const auto blob = open();
  server_.intercept([&](const SeenRequest& request) {
    Reply reply = Reply::content(content_, request).cut(10'000, End::close);
    reply.delay = milliseconds(100);
    return reply;
  });
  const auto before = std::chrono::steady_clock::now();
  EXPECT_EQ(read(*blob, {0, 100'000}), content_.substr(0, 100'000));
  EXPECT_GT(std::chrono::steady_clock::now() - before, *FakeRegistry::impatient().deadline);
}

TEST_F(BlobTest, ATrickleDoesNotKeepAReadForEver) {
  const auto blob = open();
  server_.intercept([&](const SeenRequest& request) {
    return Reply::partial(content_, {request.range()->offset, 1});
  });
  EXPECT_THAT(error_of([&] { read(*blob, {0, 100'000}); }).what(), HasSubstr("the registry sent 1 of "));
}

TEST_F(BlobTest, AnotherObjectUnderTheSameNameIsCorruptAtOnce) {
  const auto blob = open();
  server_.intercept(
      [&](const SeenRequest& request) { return Reply::partial(content_ + "more", *request.range()); });
  EXPECT_EQ(error_of([&] { read(*blob, {0, 100}); }).kind(), ErrorKind::corrupt);
  EXPECT_EQ(ranges_since_open().size(), 1u);
}

TEST_F(BlobTest, ReadsRunSideBySide) {
  const auto blob = open();
  std::vector<std::unique_ptr<PendingRead>> reads;
  for (uint64_t i = 0; i < 50; ++i)
    reads.push_back(std::make_unique<PendingRead>(*blob, ByteRange{i * 4000, 4000}));
  for (uint64_t i = 0; i < 50; ++i) EXPECT_EQ(reads[i]->wait(), content_.substr(i * 4000, 4000));
}

TEST_F(BlobTest, FailPendingEndsReadsAtOnceUntilResumed) {
  const auto blob = open(RetrySettings());
  server_.intercept([](const SeenRequest&) { return Reply::text(200, "x").cut(0, End::stall); });
  PendingRead waiting(*blob, {0, 100});
  while (blob_requests().size() < 2) std::this_thread::sleep_for(milliseconds(1));
  blob->fail_pending(Error(ErrorKind::unavailable, "being unmounted"));
  EXPECT_THAT(error_of([&] { waiting.wait(); }).what(), HasSubstr("being unmounted"));
  EXPECT_THAT(error_of([&] { read(*blob, {0, 100}); }).what(), HasSubstr("being unmounted"));
  server_.intercept(nullptr);
  blob->resume();
  EXPECT_EQ(read(*blob, {0, 100}), content_.substr(0, 100));
}

TEST_F(BlobTest, FailPendingLeavesOtherBlobsAlone) {
  const auto blob = open();
  const auto other = open();
  blob->fail_pending(Error(ErrorKind::unavailable, "being unmounted"));
  EXPECT_EQ(read(*other, {0, 100}), content_.substr(0, 100));
}

TEST_F(BlobTest, APendingReadKeepsTheBlobUntilItIsDone) {
  auto blob = open();
  server_.intercept([&](const SeenRequest& request) {
    Reply reply = Reply::content(content_, request);
    reply.delay = milliseconds(50);
    return reply;
  });
  PendingRead pending(*blob, {0, 100});
  const std::weak_ptr<Blob> watched = blob;
  blob.reset();
  EXPECT_EQ(pending.wait(), content_.substr(0, 100));
  engine_.reset();
  EXPECT_TRUE(watched.expired());
}

TEST_F(BlobTest, TheEnginesEndFailsPendingReads) {
  const auto blob = open(RetrySettings());
  server_.intercept([](const SeenRequest&) { return Reply::text(503, ""); });
  PendingRead pending(*blob, {0, 100});
  while (blob_requests().size() < 2) std::this_thread::sleep_for(milliseconds(1));
  engine_.reset();
  EXPECT_EQ(error_of([&] { pending.wait(); }).errno_value(), ECANCELED);
}

TEST_F(BlobTest, ALayerThatMustNotBeDistributedIsTakenFromItsUrl) {
  LoopbackServer elsewhere([&](const SeenRequest& request) { return Reply::content(content_, request); });
  server_.intercept([](const SeenRequest&) { return Reply::text(404, ""); });
  descriptor_.urls = {elsewhere.url("/gone-not"), elsewhere.url("/layer")};
  const auto blob = open();
  EXPECT_EQ(read(*blob, {100, 100}), content_.substr(100, 100));
  EXPECT_EQ(blob_requests().size(), 1u);
}

}  // namespace
}  // namespace erofs_oci::registry
