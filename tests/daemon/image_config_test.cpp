// SPDX-License-Identifier: Apache-2.0
#include "daemon/image_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace erofs_oci {
namespace {

using ::testing::HasSubstr;

constexpr const char* kAmd64 = R"({"os":"linux","architecture":"amd64"})";

TEST(ImageConfig, WhatIsNoConfigurationSaysNothing) {
  for (const char* text : {"", "{}", "[]", "no JSON", R"({"rootless":1})", R"({"os":7,"architecture":[]})"}) {
    const ImageConfig config{text};
    EXPECT_TRUE(config.diff_ids(3, "x").empty()) << text;
    EXPECT_EQ(config.platform(), std::nullopt) << text;
    EXPECT_EQ(config.created(), "") << text;
  }
}

TEST(ImageConfig, RefusesLayersThatAreNotTheManifests) {
  for (const char* text :
       {R"({"rootfs":{}})", R"({"rootfs":{"diff_ids":[7]}})", R"({"rootfs":{"diff_ids":["sha256:1"]}})",
        R"({"rootfs":{"diff_ids":[]}})", R"({"rootfs":"x"})"}) {
    try {
      ImageConfig(text).diff_ids(1, "the image");
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::corrupt) << text;
      EXPECT_THAT(error.what(), HasSubstr("the image: its configuration")) << text;
    }
  }
}

TEST(ImageConfig, MakesPrintableWhatItSays) {
  EXPECT_EQ(ImageConfig(R"({"created":"a\u001b[31m"})").created().find('\x1b'), std::string::npos);
}

TEST(ImageConfig, AnotherPlatformThanAskedForIsRefused) {
  Definition definition;
  definition.image = "registry.example.com/tools:1";
  check_platform(definition, ImageConfig(kAmd64));  // nothing is asked for
  definition.platform = "linux/amd64/v3";
  check_platform(definition, ImageConfig(kAmd64));  // runs there
  check_platform(definition, ImageConfig("{}"));    // does not say
  definition.platform = "linux/s390x";
  try {
    check_platform(definition, ImageConfig(kAmd64));
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::not_found);
    EXPECT_THAT(error.what(), HasSubstr("is for linux/amd64 alone, and platform asks for linux/s390x"));
  }
}

}  // namespace
}  // namespace erofs_oci
