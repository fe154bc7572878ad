// SPDX-License-Identifier: Apache-2.0
#include "registry/credentials.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "registry/base64.h"

namespace erofs_oci::registry {
namespace {

Reference ref(const char* text) {
  return Reference::parse(text);
}

TEST(Base64, MatchesTheRfcsVectors) {
  for (const auto& [plain, encoded] :
       std::vector<std::pair<std::string, std::string>>{{"", ""},
                                                        {"f", "Zg=="},
                                                        {"fo", "Zm8="},
                                                        {"foo", "Zm9v"},
                                                        {"foob", "Zm9vYg=="},
                                                        {"fooba", "Zm9vYmE="},
                                                        {"foobar", "Zm9vYmFy"},
                                                        {std::string("\xff\xfe\x00", 3), "//4A"}}) {
    EXPECT_EQ(base64_encode(plain), encoded);
    EXPECT_EQ(base64_decode(encoded), plain);
  }
  EXPECT_EQ(base64_decode("Zg"), "f");
  for (const char* text : {"Z", "Zg==x", "Z g=", "Zm9-", "Zm9vY"}) EXPECT_FALSE(base64_decode(text)) << text;
}

TEST(AuthFile, TakesAuthOrUsernameAndPassword) {
  const auto file = AuthFile::parse(R"({"auths":{
      "a.example.com":{"auth":"dXNlcjpwYTpzcw=="},
      "b.example.com":{"username":"u","password":"p"},
      "c.example.com":{"auth":"dXNlcjo=","identitytoken":"idt"},
      "d.example.com":{}}})",
                                    "config.json");
  EXPECT_EQ(file.find(ref("a.example.com/x"))->username, "user");
  EXPECT_EQ(file.find(ref("a.example.com/x"))->password.reveal(), "pa:ss");
  EXPECT_EQ(file.find(ref("b.example.com/x"))->password.reveal(), "p");
  EXPECT_EQ(file.find(ref("c.example.com/x"))->identity_token.reveal(), "idt");
  EXPECT_FALSE(file.find(ref("d.example.com/x")));
  EXPECT_FALSE(file.find(ref("e.example.com/x")));
}

TEST(AuthFile, TheLongestPathWins) {
  const auto file = AuthFile::parse(R"({"auths":{
      "example.com":{"username":"host","password":"x"},
      "example.com/team":{"username":"team","password":"x"},
      "example.com/team/tools":{"username":"tools","password":"x"}}})",
                                    "auth.json");
  EXPECT_EQ(file.find(ref("example.com/other"))->username, "host");
  EXPECT_EQ(file.find(ref("example.com/team/x"))->username, "team");
  EXPECT_EQ(file.find(ref("example.com/team/tools"))->username, "tools");
  EXPECT_EQ(file.find(ref("example.com/team/tools/sub"))->username, "tools");
  EXPECT_EQ(file.find(ref("example.com/teams"))->username, "host");
  EXPECT_FALSE(file.find(ref("example.com:5000/team")));
}

TEST(AuthFile, KnowsDockersSpellings) {
  const auto file = AuthFile::parse(R"({"auths":{
      "https://index.docker.io/v1/":{"username":"hub","password":"x"},
      "https://example.com:5000/v2/":{"username":"url","password":"x"}}})",
                                    "config.json");
  EXPECT_EQ(file.find(ref("debian"))->username, "hub");
  EXPECT_EQ(file.find(ref("example.com:5000/a"))->username, "url");
}

TEST(AuthFile, NamesHelpersAndRunsNone) {
  const auto file = AuthFile::parse(
      R"({"credsStore":"desktop","credHelpers":{"x.example.com":"ecr-login"},"auths":{"y.example.com":{}}})",
      "config.json");
  EXPECT_EQ(file.helper_for(ref("x.example.com/a")), "ecr-login");
  EXPECT_EQ(file.helper_for(ref("y.example.com/a")), "desktop");
  EXPECT_FALSE(AuthFile::parse("{}", "x").helper_for(ref("y.example.com/a")));
}

TEST(AuthFile, ErrorsNameTheFileAndNoSecret) {
  for (const char* text :
       {"", "[]", R"({"auths":{"h":{"auth":"s3cret!"}}})", R"({"auths":{"h":{"auth":"czNjcmV0"}}})",
        R"({"auths":{"h":{"username":"u","password":["s3cret"]}}})", R"({"auths":["s3cret"]})",
        R"({"auths":{"h":"s3cret"}})", R"({"s3cret)"}) {
    try {
      AuthFile::parse(text, "config.json");
      ADD_FAILURE() << "taken: " << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::invalid) << text;
      EXPECT_THAT(error.what(), testing::StartsWith("config.json"));
      EXPECT_THAT(error.what(), testing::Not(testing::HasSubstr("s3cret")));
      EXPECT_THAT(error.what(), testing::Not(testing::HasSubstr("czNjcmV0")));
    }
  }
}

TEST(BasicAuthorization, IsBase64OfNameAndPassword) {
  EXPECT_EQ(basic_authorization({"Aladdin", Secret("open sesame"), Secret()}).reveal(),
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");  // RFC 7617, 2
}

}  // namespace
}  // namespace erofs_oci::registry
