// SPDX-License-Identifier: Apache-2.0
// Blobs that a registry keeps on another server, behind signed URLs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "registry/blob.h"
#include "registry/blob_fixture.h"
#include "registry/redirect.h"

namespace erofs_oci::registry {
namespace {

using test::BlobTest;
using test::error_of;
using test::LoopbackServer;
using test::Reply;
using test::SeenRequest;
using testing::HasSubstr;

class BlobRedirectTest : public BlobTest {
 protected:
  // The registry redirects to a URL with a new signature each time; the storage takes the last one only.
  BlobRedirectTest() {
    server_.intercept([this](const SeenRequest&) {
      return Reply::redirect(status_, storage_.url(fmt::format("/bucket/blob?signature={}", ++signature_)));
    });
  }
  Reply answer_of_storage(const SeenRequest& request) {
    const bool valid = request.target == fmt::format("/bucket/blob?signature={}", signature_.load());
    return valid ? Reply::content(content_, request) : Reply::text(refusal_, "<Error>expired</Error>");
  }

  std::atomic<int> status_ = 307;
  std::atomic<int> refusal_ = 403;
  std::atomic<int> signature_ = 0;
  LoopbackServer storage_{[this](const SeenRequest& request) { return answer_of_storage(request); }};
};

TEST_F(BlobRedirectTest, FollowsEveryKindOfRedirect) {
  for (const int status : {301, 302, 303, 307, 308}) {
    status_ = status;
    const auto blob = open();
    EXPECT_EQ(read(*blob, {100, 100}), content_.substr(100, 100)) << status;
  }
}

TEST_F(BlobRedirectTest, KeepsTheSignedUrl) {
  const auto blob = open();
  for (uint64_t i = 0; i < 5; ++i) read(*blob, {i * 100, 100});
  EXPECT_EQ(blob_requests().size(), 1u);
  EXPECT_EQ(storage_.seen().size(), 6u);
}

TEST_F(BlobRedirectTest, GoesBackToTheRegistryWhenTheUrlIsNoLongerGood) {
  for (const int refusal : {400, 401, 403, 404, 410}) {
    refusal_ = refusal;
    const auto blob = open();
    const size_t before = blob_requests().size();
    ++signature_;  // the one that the blob has is old now
    EXPECT_EQ(read(*blob, {100, 100}), content_.substr(100, 100)) << refusal;
    EXPECT_EQ(blob_requests().size(), before + 1);
  }
}

TEST_F(BlobRedirectTest, GoesBackToTheRegistryWhenWhatCameWasWrong) {
  const auto blob = open();
  const size_t before = blob_requests().size();
  read(*blob, {0, 100});
  EXPECT_EQ(blob_requests().size(), before);
  blob->distrust();
  EXPECT_EQ(read(*blob, {0, 100}), content_.substr(0, 100));
  EXPECT_GT(blob_requests().size(), before);
}

TEST_F(BlobRedirectTest, GoesBackToTheRegistryWhenTheStorageIsAway) {
  const auto blob = open();
  auto other =
      std::make_unique<LoopbackServer>([&](const SeenRequest& r) { return Reply::content(content_, r); });
  std::atomic<bool> moved = false;
  server_.intercept([&](const SeenRequest&) -> std::optional<Reply> {
    return Reply::redirect(307, (moved ? storage_.url("/bucket/blob?signature=1") : other->url("/x")));
  });
  const auto second = open();
  read(*second, {0, 100});
  moved = true;
  other.reset();
  EXPECT_EQ(read(*second, {100, 100}), content_.substr(100, 100));
}

TEST_F(BlobRedirectTest, CredentialsStayWithTheRegistry) {
  settings_.credentials = Credentials{"user", Secret("s3cret"), Secret()};
  server_.intercept([this](const SeenRequest& request) {
    if (request.header("Authorization").empty()) {
      return Reply::text(401, "").with("WWW-Authenticate", "Basic realm=\"x\"");
    }
    return Reply::redirect(307, storage_.url(fmt::format("/bucket/blob?signature={}", ++signature_)));
  });
  const auto blob = open();
  read(*blob, {0, 100});
  for (const SeenRequest& seen : storage_.seen()) EXPECT_EQ(seen.header("Authorization"), "");
  EXPECT_EQ(blob_requests().back().header("Authorization"), "Basic dXNlcjpzM2NyZXQ=");
}

TEST_F(BlobRedirectTest, ARedirectToItselfKeepsItsCredentials) {
  settings_.credentials = Credentials{"user", Secret("s3cret"), Secret()};
  server_.intercept([this](const SeenRequest& request) -> std::optional<Reply> {
    if (request.header("Authorization").empty()) {
      return Reply::text(401, "").with("WWW-Authenticate", "Basic realm=\"x\"");
    }
    if (request.target != "/moved") return Reply::redirect(308, "/moved");
    return Reply::content(content_, request);
  });
  EXPECT_EQ(read(*open(), {0, 100}), content_.substr(0, 100));
}

TEST_F(BlobRedirectTest, ErrorsDoNotRepeatTheSignedUrl) {
  server_.intercept(
      [this](const SeenRequest&) { return Reply::redirect(307, storage_.url("/b?signature=s3cret")); });
  const Error error = error_of([&] { open(); });
  EXPECT_EQ(error.kind(), ErrorKind::denied);
  EXPECT_THAT(error.what(), HasSubstr(storage_.address() + " answered 403"));
  EXPECT_THAT(error.what(), testing::Not(HasSubstr("s3cret")));
}

TEST_F(BlobRedirectTest, ALoopEnds) {
  server_.intercept([](const SeenRequest& request) { return Reply::redirect(307, request.target + "x"); });
  EXPECT_THAT(error_of([&] { open(); }).what(), HasSubstr("more than 5 redirects"));
  EXPECT_EQ(blob_requests().size(), 6u);
}

TEST_F(BlobRedirectTest, ARedirectWithoutATargetIsUnsupported) {
  server_.intercept([](const SeenRequest&) { return Reply::text(307, ""); });
  EXPECT_THAT(error_of([&] { open(); }).what(), HasSubstr("answered 307 without a Location"));
}

http::Response redirect_by(const char* from, const char* to) {
  http::Response response;
  response.status = 307;
  response.url = from;
  response.headers.add("Location", to);
  return response;
}

TEST(RedirectTarget, DoesNotLeaveHttpsUnlessInsecure) {
  const http::Response down =
      redirect_by("https://example.com/v2/", "http://storage.example.com/b?signature=s3cret");
  const Error error = error_of([&] { redirect_target(down, /*insecure=*/false); });
  EXPECT_EQ(error.kind(), ErrorKind::denied);
  EXPECT_STREQ(error.what(),
               "example.com:443 redirects from https to plain http at storage.example.com:80; only an "
               "insecure registry may");
  EXPECT_EQ(redirect_target(down, /*insecure=*/true), "http://storage.example.com/b?signature=s3cret");
  EXPECT_EQ(redirect_target(redirect_by("https://example.com/a/b", "c"), false), "https://example.com/a/c");
}

TEST(RedirectTarget, StaysWithHttp) {
  EXPECT_THROW(redirect_target(redirect_by("https://example.com/", "file:///etc/passwd"), true), Error);
}

}  // namespace
}  // namespace erofs_oci::registry
