// SPDX-License-Identifier: Apache-2.0
#include "cli/inspect_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "base/bytes.h"

namespace erofs_oci {
namespace {

using testing::HasSubstr;
using testing::Not;

const Digest kDigest = sha256({});

InspectReply image() {
  InspectReply image;
  image.image = "registry.example.com/team/tools:1.4";
  image.digest = kDigest;
  image.media_type = "application/vnd.oci.image.manifest.v1+json";
  image.platform = "linux/amd64";
  image.layers.push_back({.number = 0,
                          .digest = kDigest,
                          .media_type = "application/vnd.oci.image.layer.v1.tar+gzip",
                          .size_bytes = 3 * kMiB,
                          .format = "tar+gzip",
                          .access = LayerAccess::with_index});
  return image;
}

size_t longest_line(const std::string& text) {
  std::istringstream lines(text);
  size_t longest = 0;
  for (std::string line; std::getline(lines, line);) longest = std::max(longest, line.size());
  return longest;
}

TEST(InspectTable, ShowsFactsLayersAndIndexes) {
  InspectReply shown = image();
  shown.indexes.push_back({.layer = std::nullopt, .identity = "sha256:x", .size_bytes = 2048, .spans = 12});
  shown.indexes.push_back({.layer = 3, .identity = "sha256:x", .size_bytes = 10, .spans = 1});
  EXPECT_EQ(inspect_table(shown),
            "image    registry.example.com/team/tools:1.4\n"
            "digest   sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
            "type     application/vnd.oci.image.manifest.v1+json\n"
            "platform linux/amd64\n"
            "index    of the image: 2.0 KiB, 12 spans\n"
            "         of layer 3: 10 B, 1 span\n"
            "\n"
            "#  LAYER            SIZE  TYPE                         READ IN PIECES\n"
            "0  e3b0c44298fc  3.0 MiB  oci.image.layer.v1.tar+gzip  with an index\n");
}

TEST(InspectTable, FitsATerminal) {
  InspectReply wide = image();
  wide.layers[0].number = 999;
  wide.layers[0].size_bytes = 1023 * kMiB + 900 * kKiB;
  wide.layers[0].media_type = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
  EXPECT_LE(longest_line(inspect_table(wide)), 80u);
}

TEST(InspectTable, KeepsTerminalControlOut) {
  InspectReply hostile = image();
  hostile.created = "\x1b[2J";
  hostile.layers[0].media_type = "a\x1b[2J";
  hostile.image = "oci:/x\n";
  EXPECT_THAT(inspect_table(hostile), Not(HasSubstr("\x1b")));
  EXPECT_THAT(inspect_table(hostile), HasSubstr("image    oci:/x\\x0a\n"));
}

TEST(InspectTable, SaysWhereNothingIsKnown) {
  InspectReply file;
  file.image = "tar:/x";
  file.layers.push_back({.number = 0, .size_bytes = 1, .format = "unknown", .access = LayerAccess::no});
  EXPECT_THAT(inspect_table(file), HasSubstr("index    none here"));
  EXPECT_THAT(inspect_table(file), HasSubstr("0  -       1 B  unknown  no"));
}

}  // namespace
}  // namespace erofs_oci
