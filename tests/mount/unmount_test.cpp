// SPDX-License-Identifier: Apache-2.0
#include "mount/unmount.h"

#include <gmock/gmock.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <csignal>

#include "mount/erofs_mount.h"
#include "mount/mount_table.h"
#include "mount/mount_users.h"
#include "mount/mounting.h"

namespace erofs_oci {
namespace {

using testing::HasSubstr;
using testing::Not;

class UnmountTest : public MountTest {
 protected:
  int mount() {
    auto mount = mount_erofs_file(image_fd_.get(), 4096, {.mountpoint = target(), .options = {"_netdev"}});
    const int id = mount.id();
    mount.release();
    return id;
  }
};

TEST_F(UnmountTest, LeavesNeitherTheMountNorItsEntryInUtab) {
  const int id = mount();
  EXPECT_THAT(utab(), HasSubstr(target().native()));
  unmount(target(), id);
  EXPECT_FALSE(find_mount(target()));
  EXPECT_THAT(utab(), Not(HasSubstr(target().native())));
}

TEST_F(UnmountTest, MountMadeByOthersIsLeftAlone) {
  const int id = mount();
  ASSERT_EQ(::mount("other", target().c_str(), "tmpfs", 0, nullptr), 0);
  EXPECT_EQ(error_of([&] { unmount(target(), id); }).kind(), ErrorKind::not_found);
  EXPECT_EQ(find_mount(target())->source, "other");
}

TEST_F(UnmountTest, NothingMountedIsNotFound) {
  const Error error = error_of([&] { unmount(target(), 1); });
  EXPECT_EQ(error.kind(), ErrorKind::not_found);
  EXPECT_THAT(error.what(), HasSubstr("nothing is mounted there"));
}

TEST_F(UnmountTest, BusyMountNamesWhoHasAFileOpen) {
  const int id = mount();
  const UniqueFd file = open_file(target() / "hello", O_RDONLY);
  const Error error = error_of([&] { unmount(target(), id); });
  EXPECT_EQ(error.kind(), ErrorKind::busy);
  EXPECT_THAT(error.what(), HasSubstr(fmt::format("is in use by: test_mount (pid {})", ::getpid())));
  EXPECT_TRUE(find_mount(target()));
}

TEST_F(UnmountTest, BusyMountNamesWhoWorksInIt) {
  const int id = mount();
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(target() / "data");
  const Error error = error_of([&] { unmount(target(), id); });
  std::filesystem::current_path(before);
  EXPECT_THAT(error.what(), HasSubstr(fmt::format("(pid {})", ::getpid())));
}

TEST_F(UnmountTest, BusyMountNamesWhoMappedAFile) {
  const int id = mount();
  void* mapping;
  {
    const UniqueFd file = open_file(target() / "sleep", O_RDONLY);
    mapping = ::mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE, file.get(), 0);
  }
  const Error error = error_of([&] { unmount(target(), id); });
  ::munmap(mapping, 4096);
  EXPECT_THAT(error.what(), HasSubstr(fmt::format("(pid {})", ::getpid())));
}

TEST_F(UnmountTest, BusyMountNamesWhatIsMountedOnIt) {
  const int id = mount();
  ASSERT_EQ(::mount("upper", (target() / "data").c_str(), "tmpfs", 0, nullptr), 0);
  const Error error = error_of([&] { unmount(target(), id); });
  EXPECT_THAT(error.what(), HasSubstr("in use by: the mount " + (target() / "data").native()));
  ASSERT_EQ(::umount((target() / "data").c_str()), 0);
}

TEST_F(UnmountTest, WhatIsMountedInAnotherNamespaceIsMountedStill) {
  const int id = mount();
  const dev_t device = find_mount(target())->device;
  EXPECT_TRUE(is_mounted_anywhere(device));
  const pid_t other = ::fork();
  if (other == 0) {
    if (::unshare(CLONE_NEWNS) == 0) ::raise(SIGSTOP);
    ::_exit(0);
  }
  ::waitpid(other, nullptr, WUNTRACED);
  unmount(target(), id);
  EXPECT_TRUE(is_mounted_anywhere(device));
  ::kill(other, SIGKILL);
  ::waitpid(other, nullptr, 0);
  EXPECT_FALSE(is_mounted_anywhere(device));
}

TEST_F(UnmountTest, NoMoreThanFiveUsersAreNamed) {
  const int id = mount();
  std::vector<pid_t> pids;
  for (int i = 0; i < 7; ++i) {
    pids.push_back(::fork());
    if (pids.back() == 0) {
      [[maybe_unused]] const int failed = ::chdir(target().c_str());
      ::pause();
      ::_exit(0);
    }
  }
  while (find_mount_users(*find_mount(target())).size() < 6) ::usleep(1000);
  const Error error = error_of([&] { unmount(target(), id); });
  for (const pid_t pid : pids) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
  const std::string message = error.what();
  EXPECT_EQ(std::ranges::count(message, '('), 5);
  EXPECT_THAT(message, testing::EndsWith(", …"));
}

}  // namespace
}  // namespace erofs_oci
