// SPDX-License-Identifier: Apache-2.0
#include "mount/mountpoint.h"

#include <gmock/gmock.h>

#include "mount/mounting.h"

namespace erofs_oci {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class MountpointTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "mountpoint_test.XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    fs::create_directory(folder_ / "mnt");
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path folder_;
};

TEST_F(MountpointTest, PathsThatNameNoDirectoryAreRefusedInWords) {
  write_file_durably(folder_ / "file", "", 0644);
  fs::create_symlink("mnt", folder_ / "link");
  const auto words_for = [](const fs::path& path) {
    return std::string(error_of([&] { Mountpoint::open(path); }).what());
  };
  EXPECT_THAT(words_for(folder_ / "missing"), HasSubstr("does not exist; make the directory first"));
  EXPECT_THAT(words_for(folder_ / "missing/deeper"), HasSubstr("does not exist; make the directory first"));
  EXPECT_THAT(words_for(folder_ / "file"), HasSubstr("is not a directory"));
  EXPECT_THAT(words_for(folder_ / "link"), HasSubstr("is a symbolic link; name the directory it leads to"));
  EXPECT_THAT(words_for(folder_ / "link/"), HasSubstr("is a symbolic link"));
  for (const char* path : {"", "relative", "/", "/srv/..", "/srv/."}) {
    EXPECT_THAT(words_for(path), HasSubstr("must be the absolute path of a directory below /")) << path;
  }
}

TEST_F(MountpointTest, StaysWhatWasLookedUpWhenItsFolderIsSwapped) {
  fs::create_directories(folder_ / "parent/mnt");
  const Mountpoint place = Mountpoint::open(folder_ / "parent/mnt");
  const ino_t looked_up = stat_fd(place.fd(), "mountpoint").st_ino;
  fs::rename(folder_ / "parent", folder_ / "moved");
  fs::create_symlink("/etc", folder_ / "parent");
  struct stat info {};
  ASSERT_EQ(::stat(place.name_in_folder().c_str(), &info), 0);
  EXPECT_EQ(info.st_ino, looked_up);
}

TEST_F(MountpointTest, KnowsARootOfAMountFromADirectory) {
  EXPECT_FALSE(Mountpoint::open(folder_ / "mnt").is_mount_root());
  EXPECT_TRUE(Mountpoint::open("/proc").is_mount_root());
}

}  // namespace
}  // namespace erofs_oci
