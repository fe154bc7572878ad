// SPDX-License-Identifier: Apache-2.0
#include "registry/manifest.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/error_of.h"

namespace erofs_oci::registry {
namespace {

using test::error_of;
using testing::HasSubstr;

const std::string kA = "sha256:" + std::string(64, 'a');
const std::string kB = "sha256:" + std::string(64, 'b');
const std::string kConfig = fmt::format(R"("config":{{"mediaType":"c","digest":"{}","size":2}})", kA);
constexpr std::string_view kOciIndex = "application/vnd.oci.image.index.v1+json";
constexpr std::string_view kOciManifest = "application/vnd.oci.image.manifest.v1+json";

std::string layer(const std::string& size, const std::string& digest = kB) {
  return fmt::format(
      R"({{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"{}","size":{}}})", digest,
      size);
}
std::string manifest(const std::string& layers) {
  return fmt::format(R"({{{},"layers":[{}]}})", kConfig, layers);
}
std::string entry(const std::string& digest, const std::string& platform, const std::string& more = "") {
  return fmt::format(R"({{"mediaType":"m","digest":"{}","size":7,"platform":{}{}}})", digest, platform, more);
}
Index index_of(const std::string& entries) {
  return parse_index(fmt::format(R"({{"manifests":[{}]}})", entries), "index");
}
std::string digit(char c) {
  return "sha256:" + std::string(64, c);
}

TEST(Manifest, ReadsLayersWithAllTheirParts) {
  const Manifest parsed = parse_manifest(
      manifest(layer("5") + R"(,{"mediaType":"x.erofs","digest":")" + kA +
               R"(","size":9223372036854775807,"urls":["https://example.com/l"],"annotations":{"k":"v"}})"),
      "manifest");
  ASSERT_EQ(parsed.layers.size(), 2u);
  EXPECT_EQ(parsed.config.size_bytes, 2u);
  EXPECT_EQ(parsed.layers[0].format(), LayerFormat::tar_gzip);
  EXPECT_EQ(to_string(parsed.layers[0].digest), kB);
  EXPECT_EQ(parsed.layers[1].format(), LayerFormat::erofs);
  EXPECT_EQ(parsed.layers[1].size_bytes, uint64_t{INT64_MAX});
  EXPECT_THAT(parsed.layers[1].urls, testing::ElementsAre("https://example.com/l"));
  EXPECT_EQ(parsed.layers[1].annotations.at("k"), "v");
}

TEST(Manifest, MalformedOnesAreCorruptAndNamed) {
  for (const std::string& text : {std::string(),
                                  std::string("[]"),
                                  std::string("{"),
                                  std::string("<html>"),
                                  std::string("{}"),
                                  std::string(R"({"layers":[]})"),
                                  manifest(layer("-1")),
                                  manifest(layer("1.5")),
                                  manifest(layer("\"5\"")),
                                  manifest(layer("9223372036854775808")),
                                  manifest(layer("1e30")),
                                  manifest(layer("5", "sha256:1")),
                                  manifest(layer("5", "sha512:" + std::string(128, 'a'))),
                                  manifest("7"),
                                  manifest("null"),
                                  fmt::format(R"({{{},"layers":{{}}}})", kConfig),
                                  fmt::format(R"({{{},"layers":null}})", kConfig),
                                  std::string(R"({"config":7,"layers":[]})"),
                                  manifest(R"({"digest":7,"size":1})"),
                                  std::string("{\"a\":\"\xff\"}")}) {
    const Error error = error_of([&] { parse_manifest(text, "manifest of x"); });
    EXPECT_EQ(error.kind(), ErrorKind::corrupt) << text;
    EXPECT_THAT(error.what(), HasSubstr("manifest of x")) << text;
  }
}

TEST(Manifest, IsBounded) {
  std::string layers = layer("5");
  for (size_t i = 1; i < kMaxLayers; ++i) layers += "," + layer("5");
  EXPECT_EQ(parse_manifest(manifest(layers), "m").layers.size(), kMaxLayers);
  EXPECT_THROW(parse_manifest(manifest(layers + "," + layer("5")), "m"), Error);
  EXPECT_THROW(parse_manifest(manifest(layer("5")) + std::string(kManifestLimit, ' '), "m"), Error);
}

TEST(Manifest, IsKnownByMediaTypeThenContentTypeThenFields) {
  EXPECT_TRUE(is_index(R"({"mediaType":"application/vnd.oci.image.index.v1+json"})", kOciManifest, "m"));
  EXPECT_FALSE(
      is_index(R"({"mediaType":"application/vnd.docker.distribution.manifest.v2+json"})", kOciIndex, "m"));
  EXPECT_TRUE(
      is_index("{}", "application/vnd.docker.distribution.manifest.list.v2+json; charset=utf-8", "m"));
  EXPECT_FALSE(is_index("{}", kOciManifest, "m"));
  EXPECT_TRUE(is_index(R"({"manifests":[]})", "application/json", "m"));
  EXPECT_FALSE(is_index(R"({"layers":[]})", "", "m"));
}

TEST(Manifest, OneThatCouldBeBothIsRefused) {
  const Error error = error_of([] { is_index(R"({"manifests":[],"layers":[]})", kOciIndex, "m"); });
  EXPECT_EQ(error.kind(), ErrorKind::corrupt);
}

TEST(Manifest, AnotherKindOfDocumentIsUnsupported) {
  for (const char* text : {R"({"schemaVersion":1,"fsLayers":[]})",
                           R"({"mediaType":"application/vnd.docker.distribution.manifest.v1+prettyjws"})"}) {
    const Error error = error_of([&] { is_index(text, "application/json", "m"); });
    EXPECT_EQ(error.kind(), ErrorKind::unsupported);
  }
}

TEST(LayerFormat, FollowsFromTheMediaType) {
  for (const auto& [type, format] : std::vector<std::pair<std::string, LayerFormat>>{
           {"application/vnd.oci.image.layer.v1.tar", LayerFormat::tar},
           {"application/vnd.oci.image.layer.v1.tar+gzip", LayerFormat::tar_gzip},
           {"application/vnd.oci.image.layer.v1.tar+zstd", LayerFormat::tar_zstd},
           {"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", LayerFormat::tar_gzip},
           {"application/vnd.docker.image.rootfs.diff.tar.gzip", LayerFormat::tar_gzip},
           {"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", LayerFormat::tar_gzip},
           {"application/vnd.docker.image.rootfs.diff.tar.zstd", LayerFormat::tar_zstd},
           {"application/vnd.erofs.layer.v1", LayerFormat::erofs},
           {"application/vnd.oci.image.layer.v1.erofs", LayerFormat::erofs},
           {"application/vnd.oci.image.layer.v1.tar+gzip+encrypted", LayerFormat::unknown},
           {"", LayerFormat::unknown}}) {
    EXPECT_EQ(layer_format(type), format) << type;
  }
}

TEST(Verify, ComparesSizeAndDigest) {
  Descriptor descriptor;
  descriptor.digest = sha256(as_bytes("content"));
  descriptor.size_bytes = 7;
  verify(descriptor, "content", "it");
  EXPECT_EQ(error_of([&] { verify(descriptor, "Content", "it"); }).kind(), ErrorKind::corrupt);
  EXPECT_THAT(error_of([&] { verify(descriptor, "content ", "it"); }).what(), HasSubstr("8 bytes"));
}

TEST(SelectPlatform, TakesTheBestThatThePlatformRuns) {
  const Index index =
      index_of(entry(digit('1'), R"({"os":"linux","architecture":"arm","variant":"v5"})") + "," +
               entry(digit('2'), R"({"os":"linux","architecture":"arm","variant":"v6"})") + "," +
               entry(digit('3'), R"({"os":"linux","architecture":"arm64","variant":"v8"})") + "," +
               entry(digit('4'), R"({"os":"linux","architecture":"amd64"})"));
  const auto chosen = [&](const char* text) {
    return to_string(select_platform(index, Platform::parse(text)).digest);
  };
  EXPECT_EQ(chosen("linux/arm/v7"), digit('2'));
  EXPECT_EQ(chosen("linux/arm/v5"), digit('1'));
  EXPECT_EQ(chosen("linux/arm64"), digit('3'));
  EXPECT_EQ(chosen("linux/amd64/v3"), digit('4'));
}

TEST(SelectPlatform, PassesOverWhatIsNoImage) {
  const std::string amd64 = R"({"os":"linux","architecture":"amd64"})";
  const Index index = index_of(
      entry(digit('1'), amd64, R"(,"artifactType":"application/vnd.amazon.soci.index.v2+json")") + "," +
      entry(digit('2'), amd64, R"(,"annotations":{"vnd.docker.reference.type":"attestation-manifest"})") +
      "," + entry(digit('3'), R"({"os":"unknown","architecture":"unknown"})") + "," +
      entry(digit('4'), R"({"os":"linux","architecture":"amd64","os.features":["nydus.remoteimage.v1"]})") +
      "," + entry(digit('5'), amd64) + "," + entry(digit('6'), amd64));
  EXPECT_EQ(to_string(select_platform(index, Platform::parse("linux/amd64")).digest), digit('5'));
}

TEST(SelectPlatform, SaysWhatThereIs) {
  const Index index = index_of(entry(digit('1'), R"({"os":"linux","architecture":"amd64"})") + "," +
                               entry(digit('2'), R"({"os":"linux","architecture":"arm64","variant":"v8"})"));
  const Error error = error_of([&] { select_platform(index, Platform::parse("linux/s390x")); });
  EXPECT_EQ(error.kind(), ErrorKind::not_found);
  EXPECT_STREQ(error.what(), "it has no manifest for linux/s390x; it has: linux/amd64, linux/arm64");
}

TEST(Manifest, SaysHowSomethingThatIsNoJsonBegins) {
  EXPECT_STREQ(error_of([] { parse_manifest("<html><title>Login</title>", "X"); }).what(),
               "X: is not JSON: it begins with '<html><title>Login</title>'; is this a registry?");
}

TEST(SelectLayer, TakesANumberOrADigest) {
  const Manifest parsed =
      parse_manifest(manifest(layer("1", digit('1')) + "," + layer("2", digit('2'))), "m");
  EXPECT_EQ(select_layer(parsed.layers, "1", "x"), 1u);
  EXPECT_EQ(select_layer(parsed.layers, digit('1'), "x"), 0u);
}

TEST(SelectLayer, SaysWhatThereIs) {
  const Manifest one = parse_manifest(manifest(layer("1")), "m");
  EXPECT_STREQ(error_of([&] { select_layer(one.layers, "7", "X"); }).what(),
               "image X has one layer, which is number 0; layer 7 was asked for");
  const Manifest three = parse_manifest(manifest(layer("1") + "," + layer("1") + "," + layer("1")), "m");
  EXPECT_STREQ(error_of([&] { select_layer(three.layers, "7", "X"); }).what(),
               "image X has 3 layers, 0 to 2; layer 7 was asked for");
  EXPECT_EQ(error_of([&] { select_layer(three.layers, digit('9'), "X"); }).kind(), ErrorKind::not_found);
  EXPECT_EQ(error_of([&] { select_layer(three.layers, "top", "X"); }).kind(), ErrorKind::invalid);
  EXPECT_STREQ(error_of([&] { select_layer(parse_manifest(manifest(""), "m").layers, "0", "X"); }).what(),
               "image X has no layers");
}

}  // namespace
}  // namespace erofs_oci::registry
