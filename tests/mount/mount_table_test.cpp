// SPDX-License-Identifier: Apache-2.0
#include "mount/mount_table.h"

#include <gmock/gmock.h>

#include "mount/erofs_mount.h"
#include "mount/mounting.h"

namespace erofs_oci {
namespace {

class MountTableTest : public MountTest {};

TEST_F(MountTableTest, FindsWhatWasMounted) {
  const auto mount = mount_erofs_file(image_fd_.get(), 4096, {.mountpoint = target()});
  const auto found = find_mount(target());
  ASSERT_TRUE(found);
  EXPECT_EQ(found->id, mount.id());
  EXPECT_EQ(found->device, mount.device());
  EXPECT_EQ(found->target, target());
  EXPECT_EQ(found->type, "erofs");
  EXPECT_EQ(find_mount_by_id(mount.id())->target, target());
}

TEST_F(MountTableTest, PlainDirectoryAndMissingPathHaveNone) {
  EXPECT_FALSE(find_mount(target()));
  EXPECT_FALSE(find_mount(folder_ / "missing"));
  EXPECT_FALSE(find_mount(folder_ / "missing/deeper"));
  EXPECT_FALSE(find_mount_by_id(1 << 30));
}

TEST_F(MountTableTest, FindsTheTopmostOfSeveral) {
  const auto mount = mount_erofs_file(image_fd_.get(), 4096, {.mountpoint = target()});
  ASSERT_EQ(::mount("top", target().c_str(), "tmpfs", 0, nullptr), 0);
  EXPECT_EQ(find_mount(target())->source, "top");
}

TEST_F(MountTableTest, NamesWithSpacesAreUnescaped) {
  const auto place = folder_ / "a b\tc";
  std::filesystem::create_directory(place);
  const auto mount = mount_erofs_file(image_fd_.get(), 4096, {.mountpoint = place});
  EXPECT_EQ(find_mount(place)->target, place);
}

TEST_F(MountTableTest, FindsAllMountsOfADevice) {
  const auto mount = mount_erofs_file(image_fd_.get(), 4096, {.mountpoint = target()});
  const auto other = folder_ / "other";
  std::filesystem::create_directory(other);
  ASSERT_EQ(::mount(target().c_str(), other.c_str(), nullptr, MS_BIND, nullptr), 0);
  EXPECT_EQ(find_mounts_of(mount.device()).size(), 2u);
  ASSERT_EQ(::umount(other.c_str()), 0);
}

}  // namespace
}  // namespace erofs_oci
