// SPDX-License-Identifier: Apache-2.0
#include "registry/platform.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace erofs_oci::registry {
namespace {

TEST(Platform, NormalizesSpellings) {
  for (const auto& [text, normal] :
       std::vector<std::pair<std::string, std::string>>{{"linux/amd64", "linux/amd64"},
                                                        {"linux/x86_64", "linux/amd64"},
                                                        {"Linux/AMD64/v1", "linux/amd64"},
                                                        {"linux/amd64/v3", "linux/amd64/v3"},
                                                        {"linux/aarch64", "linux/arm64"},
                                                        {"linux/arm64/v8", "linux/arm64"},
                                                        {"linux/arm64/8", "linux/arm64"},
                                                        {"linux/arm", "linux/arm"},
                                                        {"linux/arm/v7", "linux/arm"},
                                                        {"linux/armhf", "linux/arm"},
                                                        {"linux/armel", "linux/arm/v6"},
                                                        {"linux/i686", "linux/386"},
                                                        {"linux/s390x", "linux/s390x"}}) {
    EXPECT_EQ(to_string(Platform::parse(text)), normal) << text;
  }
}

TEST(Platform, RefusesOtherForms) {
  for (const char* text :
       {"", "linux", "linux/", "/amd64", "linux/amd64/v1/x", "li nux/amd64", "linux//v8", "linux/a\n"}) {
    EXPECT_THROW(Platform::parse(text), Error) << text;
  }
}

std::vector<std::string> run_by(const char* text) {
  std::vector<std::string> out;
  for (const Platform& platform : Platform::parse(text).runs()) out.push_back(to_string(platform));
  return out;
}

TEST(Platform, RunsLowerLevelsOfItsArchitecture) {
  using testing::ElementsAre;
  EXPECT_THAT(run_by("linux/arm/v7"), ElementsAre("linux/arm", "linux/arm/v6", "linux/arm/v5"));
  EXPECT_THAT(run_by("linux/arm/v6"), ElementsAre("linux/arm/v6", "linux/arm/v5"));
  EXPECT_THAT(run_by("linux/amd64/v3"), ElementsAre("linux/amd64/v3", "linux/amd64/v2", "linux/amd64"));
  EXPECT_THAT(run_by("linux/amd64"), ElementsAre("linux/amd64"));
  EXPECT_THAT(run_by("linux/arm64"), ElementsAre("linux/arm64"));
  EXPECT_THAT(run_by("linux/riscv64"), ElementsAre("linux/riscv64"));
}

TEST(Platform, TheHostHasOne) {
  EXPECT_EQ(Platform::host().os, "linux");
  EXPECT_EQ(Platform::host().normalized(), Platform::host());
}

}  // namespace
}  // namespace erofs_oci::registry
