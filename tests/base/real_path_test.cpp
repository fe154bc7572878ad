// SPDX-License-Identifier: Apache-2.0
#include "base/real_path.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/temporary_folder.h"

namespace erofs_oci {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::Pair;

class RealPath : public ::testing::Test {
 protected:
  RealPath() { fs::create_directories(top_ / "a/b"); }
  void link(const fs::path& target, const std::string& name) { fs::create_symlink(target, top_ / name); }
  fs::path real(const std::string& path) const { return real_path(top_ / path, mount_points_); }

  const testing::TemporaryFolder folder_;
  const fs::path top_ = fs::canonical(folder_.path());
  MountPoints mount_points_{{"/", "ext4"}};
};

TEST_F(RealPath, FollowsSymlinks) {
  link("a", "relative");
  link(top_ / "a/b/", "absolute");
  link("../relative/./b", "a/up");
  EXPECT_EQ(real("relative/b"), top_ / "a/b");
  EXPECT_EQ(real("absolute/x"), top_ / "a/b/x");
  EXPECT_EQ(real("a/up"), top_ / "a/b");
}

TEST_F(RealPath, LeavesWhatDoesNotExistAndWhatNeverEnds) {
  link("loop", "loop");
  EXPECT_EQ(real("none/of/these"), top_ / "none/of/these");
  EXPECT_EQ(real("loop/x"), top_ / "loop/x");
  EXPECT_EQ(real_path("/", mount_points_), "/");
}

TEST_F(RealPath, EndsAtAMountPoint) {
  mount_points_.emplace(top_ / "a", "erofs");
  link("b", "a/inner");
  link("a/inner", "outer");
  EXPECT_EQ(real("a/inner/x"), top_ / "a/inner/x");
  EXPECT_EQ(real("outer/x"), top_ / "a/inner/x");
}

TEST(MountPointsTest, AreTheFifthFieldAndTheTypeOfTheLastThere) {
  EXPECT_THAT(parse_mount_points("22 1 0:1 / / rw - ext4 /dev/sda rw\n"
                                 "23 22 0:2 /x /srv/a\\040b\\134 rw,nosuid shared:1 - autofs systemd-1 rw\n"
                                 "24 23 0:3 / /srv/a\\040b\\134 ro shared:1 master:2 - erofs /dev/nbd0 ro\n"),
              ElementsAre(Pair("/", "ext4"), Pair("/srv/a b\\", "erofs")));
}

TEST(MountPointsTest, ThoseOfThisProcessHaveTheRoot) {
  EXPECT_TRUE(current_mount_points().contains("/"));
}

}  // namespace
}  // namespace erofs_oci
