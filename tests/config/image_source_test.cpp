// SPDX-License-Identifier: Apache-2.0
#include "config/image_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace erofs_oci {
namespace {

const std::string kDigest = "sha256:" + std::string(64, '0');

std::string refusal(const std::string& image) {
  try {
    parse_image_source(image);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::invalid);
    return error.what();
  }
  return "";
}

TEST(ImageSource, KnowsEveryPrefix) {
  const std::vector<std::tuple<std::string, ImageKind, std::string>> cases = {
      {"oci:/srv/layout", ImageKind::oci, "/srv/layout"},
      {"oci-archive:/srv/a.tar", ImageKind::oci_archive, "/srv/a.tar"},
      {"tar:/srv/a b.tar.gz", ImageKind::tar, "/srv/a b.tar.gz"},
      {"file:/srv/a.erofs", ImageKind::file, "/srv/a.erofs"},
      {"registry.example.com/team/tools:1.4", ImageKind::registry, "registry.example.com/team/tools:1.4"},
  };
  for (const auto& [image, kind, location] : cases) {
    EXPECT_EQ(parse_image_source(image).kind, kind) << image;
    EXPECT_EQ(parse_image_source(image).location, location) << image;
  }
}

TEST(ImageSource, LayoutsMayHaveATag) {
  const std::vector<std::tuple<std::string, std::string, std::optional<std::string>>> cases = {
      {"oci:/srv/layout:v1", "/srv/layout", "v1"},
      {"oci-archive:/a.tar:docker.io/x:1", "/a.tar", "docker.io/x:1"},
      {"oci:/srv/layout", "/srv/layout", std::nullopt},
      {"tar:/a:b.tar", "/a:b.tar", std::nullopt},
  };
  for (const auto& [image, location, tag] : cases) {
    EXPECT_EQ(parse_image_source(image).location, location) << image;
    EXPECT_EQ(parse_image_source(image).tag, tag) << image;
  }
}

TEST(ImageSource, SingleBlobsHaveNoLayersToChoose) {
  EXPECT_TRUE(parse_image_source("file:/a").single_blob());
  EXPECT_TRUE(parse_image_source("tar:/a").single_blob());
  EXPECT_FALSE(parse_image_source("oci:/a").single_blob());
  EXPECT_FALSE(parse_image_source("oci-archive:/a").single_blob());
  EXPECT_FALSE(parse_image_source("a").single_blob());
}

TEST(ImageSource, TakesWhatLooksLikeAReference) {
  for (const std::string good :
       {"debian", "debian:12", "library/debian", "localhost/x", "localhost:5000/x:y", "127.0.0.1:5000/a/b/c",
        "[::1]:5000/a", "Registry.Example.com/a", "a.b/c__d/e-f.g_h", "x:A_b-C.1", "example"}) {
    EXPECT_EQ(refusal(good), "") << good;
    EXPECT_EQ(refusal(good + "@" + kDigest), "") << good;
  }
}

TEST(ImageSource, RefusesTheRestInWords) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "must not be empty"},
      {"https://registry.example.com/a", "must be a reference without a scheme"},
      {"docker://debian", "must be a reference without a scheme"},
      {"dir:/srv/x", "must not begin with dir:; known are oci:, oci-archive:, tar: and file:"},
      {"file:x.erofs", "must have an absolute path after file:"},
      {"tar:latest", "write docker.io/library/tar:"},
      {"oci:", "must have an absolute path after oci:"},
      {"oci:/srv/layout:", "must have a tag after its ':'"},
      {"debian@sha256:abc", "expected sha256: and 64 hex digits"},
      {"debian:", "is no tag"},
      {"debian:-x", "is no tag"},
      {"debian:" + std::string(129, 'x'), "is no tag"},
      {"Debian", "\"Debian\" is no repository: lower-case letters"},
      {"x:A_b-C.1/y", "is no host name or address"},
      {"example.com:0/a", "is no host name or address"},
      {"exa_mple.com/a", "\"exa_mple.com\" is no host name or address"},
      {"example.com/a..b", "\"a..b\" is no repository"},
      {"example.com/", "must be a reference such as"},
      {"example.com//a", "must be a reference such as"},
      {"/srv/x", "must be a reference such as"},
      {"a b", "must be a reference such as"},
      {"-a", "must be a reference such as"},
      {"example.com/" + std::string(600, 'a'), "must be a reference such as"},
  };
  for (const auto& [image, message] : cases)
    EXPECT_THAT(refusal(image), testing::HasSubstr(message)) << image;
}

}  // namespace
}  // namespace erofs_oci
