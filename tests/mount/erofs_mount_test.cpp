// SPDX-License-Identifier: Apache-2.0
#include "mount/erofs_mount.h"

#include <gmock/gmock.h>
#include <poll.h>
#include <sys/statvfs.h>
#include <sys/prctl.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include <csignal>
#include <cstring>

#include "mount/loop_device.h"
#include "mount/mount_table.h"
#include "mount/mounting.h"

namespace erofs_oci {
namespace {

using testing::HasSubstr;

unsigned long flags_of(const std::filesystem::path& path) {
  struct statvfs info {};
  EXPECT_EQ(::statvfs(path.c_str(), &info), 0);
  return info.f_flag;
}

TEST_F(MountTest, MountsAFile) {
  const auto mount = mount_erofs_file(image_fd_.get(), 4096, {.mountpoint = target()});
  EXPECT_EQ(hello(), "hello\n");
}

TEST_F(MountTest, MountsABlockDeviceThatVanishesWithTheMount) {
  std::string device;
  {
    const auto loop = LoopDevice::attach(image_fd_.get(), 512);
    ASSERT_TRUE(loop);
    device = loop->path();
    mount_erofs({device, target(), {}}).release();
  }
  EXPECT_EQ(hello(), "hello\n");
  const auto backing_file = "/sys/block" + device.substr(4) + "/loop/backing_file";
  EXPECT_TRUE(std::filesystem::exists(backing_file));
  ASSERT_EQ(::umount2(target().c_str(), 0), 0);
  EXPECT_FALSE(std::filesystem::exists(backing_file));
}

TEST_F(MountTest, MountIsUndoneUnlessItIsReleased) {
  mount_erofs_file(image_fd_.get(), 4096, {.mountpoint = target(), .options = {"_netdev"}});
  EXPECT_FALSE(find_mount(target()));
  EXPECT_THAT(utab(), testing::Not(HasSubstr(target().native())));
  mount_erofs_file(image_fd_.get(), 4096, {.mountpoint = target()}).release();
  EXPECT_TRUE(find_mount(target()));
}

TEST_F(MountTest, OptionsBecomeAttributesOfTheMount) {
  const auto mount = mount_erofs_file(image_fd_.get(), 4096,
                                      {.mountpoint = target(), .options = {"nodev", "nosuid", "noexec"}});
  const unsigned long wanted = ST_RDONLY | ST_NODEV | ST_NOSUID | ST_NOEXEC;
  EXPECT_EQ(flags_of(target()) & wanted, wanted);
}

TEST_F(MountTest, ReadAheadIsSetForTheFilesystemsDevice) {
  const auto mount =
      mount_erofs_file(image_fd_.get(), 4096, {.mountpoint = target(), .read_ahead = 2 * kMiB});
  const auto knob =
      fmt::format("/sys/class/bdi/{}:{}/read_ahead_kb", major(mount.device()), minor(mount.device()));
  EXPECT_EQ(read_text_file(knob, 100), "2048\n");
}

TEST_F(MountTest, MountsAFileDirectlyWhereTheKernelCan) {
  const MountRequest request{.source = image(), .mountpoint = target()};
  try {
    mount_erofs(request).release();
  } catch (const Error& error) {
    ASSERT_EQ(error.errno_value(), ENOTBLK) << error.what();
    GTEST_SKIP() << "needs Linux 6.12, which mounts files directly";
  }
  EXPECT_EQ(hello(), "hello\n");
}

TEST_F(MountTest, UserspaceOptionsAreRecordedForSystemd) {
  const auto mount = mount_erofs_file(
      image_fd_.get(), 4096, {.mountpoint = target(), .options = {"_netdev", "helper=erofs-oci", "nodev"}});
  EXPECT_THAT(utab(), HasSubstr("OPTS=_netdev,helper=erofs-oci\n"));
  EXPECT_THAT(utab(), HasSubstr("TARGET=" + target().native()));
}

TEST_F(MountTest, OptionThatErofsDoesNotKnowFailsInTheKernelsWords) {
  const Error error = error_of(
      [&] { mount_erofs_file(image_fd_.get(), 4096, {.mountpoint = target(), .options = {"nonsense"}}); });
  EXPECT_EQ(error.kind(), ErrorKind::invalid);
  EXPECT_THAT(error.what(), HasSubstr("Unknown parameter 'nonsense'"));
}

TEST_F(MountTest, SourceThatIsNoErofsIsAnErrorAndLeavesNothing) {
  const UniqueFd junk = open_file("/bin/sh", O_RDONLY);
  const Error error = error_of([&] { mount_erofs_file(junk.get(), 4096, {.mountpoint = target()}); });
  EXPECT_THAT(error.what(), HasSubstr(target().native()));
  EXPECT_FALSE(find_mount(target()));
}

TEST_F(MountTest, OccupiedMountpointIsRefusedByTheOccupantsName) {
  ASSERT_EQ(::mount("some-tmpfs", target().c_str(), "tmpfs", 0, nullptr), 0);
  const Error error = error_of([&] { mount_erofs_file(image_fd_.get(), 4096, {.mountpoint = target()}); });
  EXPECT_EQ(error.kind(), ErrorKind::busy);
  EXPECT_THAT(error.what(), HasSubstr("some-tmpfs (tmpfs) is mounted there"));
}

TEST_F(MountTest, SymlinkIsFollowedInParentsAloneAndTheTargetIsFreeOfIt) {
  std::filesystem::create_symlink(folder_, folder_ / "parent");
  std::filesystem::create_symlink(target(), folder_ / "last");
  const auto mount = mount_erofs_file(image_fd_.get(), 4096, {.mountpoint = folder_ / "parent/mnt/"});
  EXPECT_EQ(mount.target(), target());
  const Error error =
      error_of([&] { mount_erofs_file(image_fd_.get(), 4096, {.mountpoint = folder_ / "last/"}); });
  EXPECT_EQ(error.kind(), ErrorKind::invalid);
  EXPECT_THAT(error.what(), HasSubstr("is a symbolic link"));
}

TEST_F(MountTest, AutomountThatWaitsIsNotTriggeredAndGetsItsMount) {
  int requests[2];  // the kernel's to the automounter, which never answers
  ASSERT_EQ(::pipe2(requests, O_CLOEXEC), 0);
  const UniqueFd reader(requests[0]);
  const UniqueFd writer(requests[1]);
  const pid_t automounter = ::fork();  // leads a process group that this test is not in
  if (automounter == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::setpgid(0, 0);
    ::pause();
  }
  ::setpgid(automounter, automounter);
  const auto options = fmt::format("fd={},pgrp={},minproto=5,maxproto=5,direct", writer.get(), automounter);
  const int mounted = ::mount("systemd-1", target().c_str(), "autofs", 0, options.c_str());
  const int errno_value = errno;
  if (mounted == 0) mount_erofs_file(image_fd_.get(), 4096, {.mountpoint = target()}).release();
  ::kill(automounter, SIGKILL);
  ::waitpid(automounter, nullptr, 0);
  if (mounted != 0) GTEST_SKIP() << "needs a kernel with autofs: " << std::strerror(errno_value);
  EXPECT_EQ(hello(), "hello\n");
  pollfd request{reader.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&request, 1, 0), 0);
}

}  // namespace
}  // namespace erofs_oci
