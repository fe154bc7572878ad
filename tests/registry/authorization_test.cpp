// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "registry/authorizer.h"
#include "registry/blob_fixture.h"
#include "registry/token_server.h"

namespace erofs_oci::registry {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::BlobTest;
using test::error_of;
using test::LoopbackServer;
using test::PendingRead;
using test::Reply;
using test::SeenRequest;
using test::TokenServer;
using testing::HasSubstr;
using testing::Not;

const Credentials kUser{"user", Secret("s3cret"), Secret()};
const std::string kUserAsBasic = "Basic dXNlcjpzM2NyZXQ=";

class BasicTest : public BlobTest {
 protected:
  BasicTest() {
    server_.intercept([](const SeenRequest& request) -> std::optional<Reply> {
      if (request.header("Authorization") == kUserAsBasic) return std::nullopt;
      return Reply::text(401, "").with("WWW-Authenticate", "Basic realm=\"registry\"");
    });
  }
};

TEST_F(BasicTest, SendsThePasswordOnceAskedForIt) {
  settings_.credentials = kUser;
  const auto blob = open();
  read(*blob, {0, 100});
  std::vector<std::string> sent;
  for (const SeenRequest& request : blob_requests()) sent.push_back(request.header("Authorization"));
  EXPECT_THAT(sent, testing::ElementsAre("", kUserAsBasic, kUserAsBasic));
}

TEST_F(BasicTest, ARefusedPasswordIsDeniedAtOnce) {
  settings_.credentials = Credentials{"user", Secret("wr0ng"), Secret()};
  const Error error = error_of([&] { open(); });
  EXPECT_EQ(error.kind(), ErrorKind::denied);
  EXPECT_THAT(error.what(), HasSubstr("(with the credentials given)"));
  EXPECT_THAT(error.what(), Not(HasSubstr("wr0ng")));
  EXPECT_EQ(blob_requests().size(), 2u);
}

TEST_F(BasicTest, SaysThatAPasswordIsMissing) {
  EXPECT_THAT(error_of([&] { open(); }).what(),
              HasSubstr("asks for a user name and password; none is configured"));
}

TEST_F(BasicTest, APasswordThatIsRefusedLaterIsNamed) {
  settings_.credentials = kUser;
  const auto blob = open();
  server_.intercept([](const SeenRequest&) {
    return Reply::text(401, "").with("WWW-Authenticate", "Basic realm=\"registry\"");
  });
  EXPECT_THAT(error_of([&] {
                read(*blob, {0, 100});
              }).what(),
              HasSubstr("refuses the password of user \"user\""));
}

class TokenTest : public BlobTest {
 protected:
  void use(TokenServer& tokens) {
    server_.intercept([&tokens](const SeenRequest& request) { return tokens.refuse(request); });
  }
  // Reads one range after the other, and fails the test with the first that fails.
  void read_for(milliseconds duration, TokenServer& tokens) {
    use(tokens);
    const auto blob = open();
    const auto end = std::chrono::steady_clock::now() + duration;
    for (uint64_t i = 0; std::chrono::steady_clock::now() < end; i = (i + 1) % 1000) {
      ASSERT_EQ(read(*blob, {i * 100, 100}), content_.substr(i * 100, 100));
    }
    server_.intercept(nullptr);
  }

  TokenServer tokens_{seconds(300), seconds(300)};
};

TEST_F(TokenTest, AnAnonymousTokenIsAskedForByItsChallenge) {
  use(tokens_);
  const auto blob = open();
  EXPECT_EQ(read(*blob, {0, 100}), content_.substr(0, 100));
  const auto asked = tokens_.server().seen();
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].target, "/token?service=registry.example.com&scope=repository%3Ateam%2Ftools%3Apull");
  EXPECT_EQ(asked[0].header("Authorization"), "");
}

TEST_F(TokenTest, ThePasswordGoesToTheTokenServerOnly) {
  use(tokens_);
  settings_.credentials = kUser;
  open();
  const SeenRequest asked = tokens_.server().seen().at(0);
  EXPECT_EQ(asked.header("Authorization"), kUserAsBasic);
  EXPECT_THAT(asked.target, HasSubstr("&account=user"));
  for (const SeenRequest& request : blob_requests()) EXPECT_NE(request.header("Authorization"), kUserAsBasic);
}

TEST_F(TokenTest, AnIdentityTokenIsPosted) {
  use(tokens_);
  settings_.credentials = Credentials{"", Secret(), Secret("id/token")};
  open();
  const SeenRequest asked = tokens_.server().seen().at(0);
  EXPECT_EQ(asked.method, "POST");
  EXPECT_EQ(asked.body,
            "grant_type=refresh_token&service=registry.example.com&client_id=erofs-oci&"
            "scope=repository%3Ateam%2Ftools%3Apull&refresh_token=id%2Ftoken");
}

TEST_F(TokenTest, WhereAPostIsNotTakenThePasswordIsUsed) {
  use(tokens_);
  tokens_.intercept([](const SeenRequest& request) -> std::optional<Reply> {
    if (request.method == "POST") return Reply::text(405, "");
    return std::nullopt;
  });
  settings_.credentials = Credentials{"user", Secret("s3cret"), Secret("id")};
  open();
  EXPECT_EQ(tokens_.server().seen().at(1).header("Authorization"), kUserAsBasic);
}

TEST_F(TokenTest, ManyRequestsShareOneToken) {
  const auto blob = open();
  use(tokens_);
  tokens_.intercept([](const SeenRequest&) -> std::optional<Reply> {
    std::this_thread::sleep_for(milliseconds(50));
    return std::nullopt;
  });
  std::vector<std::unique_ptr<PendingRead>> reads;
  for (uint64_t i = 0; i < 20; ++i)
    reads.push_back(std::make_unique<PendingRead>(*blob, ByteRange{i * 100, 100}));
  for (uint64_t i = 0; i < 20; ++i) EXPECT_EQ(reads[i]->wait(), content_.substr(i * 100, 100));
  EXPECT_EQ(tokens_.server().seen().size(), 1u);
}

TEST_F(TokenTest, NoReadFailsWhileTokensExpire) {
  TokenServer tokens{seconds(1), milliseconds(1000)};
  read_for(milliseconds(2500), tokens);
  EXPECT_GE(tokens.server().seen().size(), 3u);
}

TEST_F(TokenTest, NoReadFailsWhereTokensEndBeforeTheirTime) {
  TokenServer tokens{seconds(300), milliseconds(200)};
  read_for(milliseconds(1000), tokens);
  EXPECT_GE(tokens.server().seen().size(), 4u);
}

TEST_F(TokenTest, ATokenIsRenewedInTheBackgroundAheadOfItsEnd) {
  TokenServer tokens{seconds(2), seconds(10)};
  use(tokens);
  const auto blob = open();
  std::this_thread::sleep_for(milliseconds(1600));
  read(*blob, {0, 100});
  EXPECT_EQ(blob_requests().back().header("Authorization"), "Bearer token-0");
  for (int i = 0; i < 1000 && tokens.server().seen().size() < 2; ++i)
    std::this_thread::sleep_for(milliseconds(1));
  EXPECT_EQ(tokens.server().seen().size(), 2u);
  server_.intercept(nullptr);
}

TEST_F(TokenTest, ARefusalOfATokenThatWasRenewedMeanwhileFetchesNoOther) {
  const auto authorizer = std::make_shared<Authorizer>(
      *engine_, Authorizer::Settings{.origin = server_.server().url(""), .repository = "team/tools"});
  http::Response refusal;
  refusal.headers.add("WWW-Authenticate",
                      fmt::format(R"(Bearer realm="{}")", tokens_.server().url("/token")));
  engine_->run(authorizer->renew(refusal, 0, nullptr));
  engine_->run(authorizer->renew(refusal, 0, nullptr));
  EXPECT_EQ(tokens_.server().seen().size(), 1u);
  EXPECT_EQ(engine_->run(authorizer->current(nullptr)).generation, 1u);
}

TEST_F(TokenTest, ATokenServerThatIsBusyIsAskedAgain) {
  use(tokens_);
  tokens_.intercept([failures = 3](const SeenRequest&) mutable -> std::optional<Reply> {
    if (failures-- <= 0) return std::nullopt;
    return Reply::text(503, "");
  });
  EXPECT_EQ(read(*open(), {0, 100}), content_.substr(0, 100));
}

TEST_F(TokenTest, ARefusalOfTheTokenServerIsDenied) {
  use(tokens_);
  tokens_.intercept([](const SeenRequest&) { return Reply::text(401, ""); });
  EXPECT_THAT(error_of([&] { open(); }).what(), HasSubstr("no credentials are configured for it"));
  settings_.credentials = kUser;
  const Error error = error_of([&] { open(); });
  EXPECT_EQ(error.kind(), ErrorKind::denied);
  EXPECT_THAT(error.what(), HasSubstr("the credentials are refused"));
  EXPECT_THAT(error.what(), Not(HasSubstr("s3cret")));
}

TEST_F(TokenTest, ATokenThatDoesNotSufficeIsDeniedAtOnce) {
  server_.intercept([this](const SeenRequest&) { return tokens_.refuse(SeenRequest()); });
  const Error error = error_of([&] { open(); });
  EXPECT_EQ(error.kind(), ErrorKind::denied);
  EXPECT_THAT(error.what(),
              HasSubstr("answered 401: authentication required (no credentials are configured"));
  EXPECT_EQ(blob_requests().size(), 2u);
}

TEST_F(TokenTest, ThePasswordDoesNotFollowARedirectOfTheTokenServer) {
  use(tokens_);
  LoopbackServer elsewhere([](const SeenRequest&) { return Reply::text(200, R"({"token":"x"})"); });
  tokens_.intercept([&](const SeenRequest&) { return Reply::redirect(307, elsewhere.url("/t")); });
  settings_.credentials = kUser;
  error_of([&] { open(); });
  EXPECT_EQ(elsewhere.seen().at(0).header("Authorization"), "");
}

TEST_F(TokenTest, AnUnknownChallengeIsDenied) {
  server_.intercept(
      [](const SeenRequest&) { return Reply::text(401, "").with("WWW-Authenticate", "Negotiate"); });
  EXPECT_THAT(error_of([&] { open(); }).what(), HasSubstr("names no way in that is known here"));
}

TEST_F(TokenTest, AnHttpsRegistryMustNotNameATokenServerWithoutHttps) {
  Authorizer::Settings settings;
  settings.origin = "https://registry.example.com:443";
  settings.credentials = kUser;
  const auto authorizer = std::make_shared<Authorizer>(*engine_, settings);
  http::Response refusal;
  refusal.headers.add("WWW-Authenticate",
                      fmt::format(R"(Bearer realm="{}")", tokens_.server().url("/token")));
  const Error error = error_of([&] { engine_->run(authorizer->renew(refusal, 0, nullptr)); });
  EXPECT_EQ(error.kind(), ErrorKind::denied);
  EXPECT_THAT(error.what(), HasSubstr("a token server without https"));
  EXPECT_TRUE(tokens_.server().seen().empty());
}

TEST(Token, Parses) {
  EXPECT_EQ(parse_token(R"({"token":"a","expires_in":300})").value.reveal(), "a");
  EXPECT_EQ(parse_token(R"({"token":"a","expires_in":300})").lifetime, seconds(300));
  EXPECT_EQ(parse_token(R"({"access_token":"b"})").value.reveal(), "b");
  EXPECT_EQ(parse_token(R"({"token":"","access_token":"b"})").value.reveal(), "b");
  for (const char* lifetime : {"0", "-1", "null", "\"7\"", "1.5"}) {
    EXPECT_EQ(parse_token(fmt::format(R"({{"token":"a","expires_in":{}}})", lifetime)).lifetime, seconds(60));
  }
  EXPECT_EQ(parse_token(R"({"token":"a","expires_in":18446744073709551615})").lifetime,
            std::chrono::hours(24));
  for (const char* text : {"", "{}", "[]", R"({"token":7})", "<html>"})
    EXPECT_THROW(parse_token(text), Error) << text;
}

}  // namespace
}  // namespace erofs_oci::registry
