// SPDX-License-Identifier: Apache-2.0
#include "registry/challenge.h"

#include <gtest/gtest.h>

namespace erofs_oci::registry {
namespace {

TEST(Challenge, ReadsABearerChallenge) {
  const auto challenges = parse_challenges(
      R"(Bearer realm="https://auth.example.com/token",service="registry.example.com",scope="repository:a/b:pull,push")");
  ASSERT_EQ(challenges.size(), 1u);
  EXPECT_EQ(challenges[0].scheme, "bearer");
  EXPECT_EQ(challenges[0].find("realm"), "https://auth.example.com/token");
  EXPECT_EQ(challenges[0].find("service"), "registry.example.com");
  EXPECT_EQ(challenges[0].find("scope"), "repository:a/b:pull,push");
  EXPECT_FALSE(challenges[0].find("error"));
}

TEST(Challenge, ReadsSeveralInOneField) {
  const auto challenges = parse_challenges(R"(Basic realm="a, b" , BEARER Realm = "c",x=y, Negotiate)");
  ASSERT_EQ(challenges.size(), 3u);
  EXPECT_EQ(challenges[0].scheme, "basic");
  EXPECT_EQ(challenges[0].find("realm"), "a, b");
  EXPECT_EQ(challenges[1].scheme, "bearer");
  EXPECT_EQ(challenges[1].find("realm"), "c");
  EXPECT_EQ(challenges[1].find("x"), "y");
  EXPECT_EQ(challenges[2].scheme, "negotiate");
}

TEST(Challenge, UnquotesValues) {
  const auto challenges = parse_challenges(R"(Basic realm="say \"hi\" \\ there")");
  ASSERT_EQ(challenges.size(), 1u);
  EXPECT_EQ(challenges[0].find("realm"), R"(say "hi" \ there)");
}

TEST(Challenge, SurvivesWhatIsMalformed) {
  EXPECT_TRUE(parse_challenges("").empty());
  EXPECT_TRUE(parse_challenges(",, ,").empty());
  EXPECT_TRUE(parse_challenges(R"("quoted")").empty());
  EXPECT_TRUE(parse_challenges("realm=x").empty());
  EXPECT_EQ(parse_challenges(R"(Bearer realm="unterminated)").at(0).find("realm"), "unterminated");
  EXPECT_EQ(parse_challenges("Bearer realm=").at(0).find("realm"), "");
  EXPECT_EQ(parse_challenges(R"(Bearer realm="x\)").at(0).scheme, "bearer");
  EXPECT_TRUE(parse_challenges("Bearer =x").empty());
}

}  // namespace
}  // namespace erofs_oci::registry
