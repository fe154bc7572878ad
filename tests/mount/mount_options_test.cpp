// SPDX-License-Identifier: Apache-2.0
#include "mount/mount_options.h"

#include <gmock/gmock.h>
#include <sys/mount.h>

#include "base/error.h"

namespace erofs_oci {
namespace {

using testing::ElementsAre;
using testing::Pair;

MountOptions parse(std::vector<std::string> words) {
  return parse_mount_options(words);
}

TEST(MountOptions, AreReadOnlyWithoutBeingAsked) {
  EXPECT_EQ(parse({}).attributes, unsigned{MOUNT_ATTR_RDONLY});
  EXPECT_EQ(parse({"defaults", "ro"}).attributes, unsigned{MOUNT_ATTR_RDONLY});
}

TEST(MountOptions, AttributesAddUpAndTheLastWordWins) {
  EXPECT_EQ(parse({"nodev", "nosuid"}).attributes,
            unsigned{MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID});
  EXPECT_EQ(parse({"nodev", "dev", "exec"}).attributes, unsigned{MOUNT_ATTR_RDONLY});
  EXPECT_EQ(parse({"noatime", "strictatime"}).attributes,
            unsigned{MOUNT_ATTR_RDONLY | MOUNT_ATTR_STRICTATIME});
}

TEST(MountOptions, WordsGoToWhoeverUnderstandsThem) {
  const MountOptions options =
      parse({"_netdev", "x-systemd.requires=a", "noacl", "cache_strategy=readahead"});
  EXPECT_THAT(options.userspace, ElementsAre("_netdev", "x-systemd.requires=a"));
  EXPECT_THAT(options.filesystem,
              ElementsAre(Pair("noacl", std::nullopt),
                          Pair("cache_strategy", std::optional<std::string>("readahead"))));
}

TEST(MountOptions, WritingIsRefused) {
  EXPECT_THROW(parse({"rw"}), Error);
}

}  // namespace
}  // namespace erofs_oci
