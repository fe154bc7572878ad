// SPDX-License-Identifier: Apache-2.0
#include "daemon/folder_on_image.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/temporary_folder.h"

namespace erofs_oci {
namespace {

namespace fs = std::filesystem;

class FolderOnImageTest : public ::testing::Test {
 protected:
  bool is_refused(const fs::path& folder) const {
    try {
      refuse_folder_on_image(folder, "cache_dir", mounts_);
      return false;
    } catch (const Error& error) {
      EXPECT_TRUE(std::string(error.what()).starts_with("cache_dir " + folder.native())) << error.what();
      return true;
    }
  }

  testing::TemporaryFolder folder_;
  const fs::path top_ = folder_.path();
  MountPoints mounts_{{"/", "ext4"}, {top_ / "image", "erofs"}, {top_ / "image/disk", "ext4"}};
};

TEST_F(FolderOnImageTest, IsRefused) {
  EXPECT_TRUE(is_refused(top_ / "image"));
  EXPECT_TRUE(is_refused(top_ / "image/cache/spans"));
  EXPECT_FALSE(is_refused(top_ / "image.d/cache"));
  EXPECT_FALSE(is_refused(top_));
  EXPECT_FALSE(is_refused(top_ / "image/disk/cache")) << "what is mounted there is no image";
}

TEST_F(FolderOnImageTest, IsRefusedWhereASymlinkLeadsThere) {
  fs::create_symlink("image/cache", top_ / "link");
  EXPECT_TRUE(is_refused(top_ / "link/spans"));
}

TEST_F(FolderOnImageTest, NothingElseIsRefusedOnAHostThatRunsFromAnImage) {
  mounts_["/"] = "erofs";
  mounts_[top_] = "ext4";
  EXPECT_FALSE(is_refused(top_ / "cache"));
  EXPECT_TRUE(is_refused("/opt/cache"));
}

}  // namespace
}  // namespace erofs_oci
