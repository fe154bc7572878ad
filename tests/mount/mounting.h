// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/error.h"
#include "base/file.h"

namespace erofs_oci {

/// Why tests that mount cannot run here; empty where they can.
inline std::string why_no_mounts() {
  if (::geteuid() != 0) return "needs root, to mount";
  if (std::system("command -v mkfs.erofs >/dev/null") != 0) return "needs mkfs.erofs (package erofs-utils)";
  if (std::system("grep -qw erofs /proc/filesystems || modprobe -q erofs") != 0)
    return "needs a kernel with EROFS";
  return {};
}

/// A scratch folder and an EROFS image, in a mount namespace of the process's own with a utab of its own:
/// whatever a test leaves mounted vanishes with the process.
class MountTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (::geteuid() != 0 || ::unshare(CLONE_NEWNS) != 0) return;
    ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    std::filesystem::create_directories("/run/mount");
    ::mount("utab", "/run/mount", "tmpfs", 0, nullptr);
  }

  void SetUp() override {
    if (const std::string reason = why_no_mounts(); !reason.empty()) GTEST_SKIP() << reason;
    std::string pattern = testing::TempDir() + "mount_test.XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    std::filesystem::create_directories(folder_ / "tree/data");
    write_file_durably(folder_ / "tree/hello", "hello\n", 0644);
    std::filesystem::copy_file("/bin/sleep", folder_ / "tree/sleep");
    std::filesystem::create_directory(target());
    const auto command = fmt::format("mkfs.erofs --quiet {0}/image {0}/tree >/dev/null", folder_.native());
    ASSERT_EQ(std::system(command.c_str()), 0);
    image_fd_ = open_file(image(), O_RDONLY);
  }
  void TearDown() override {
    if (folder_.empty()) return;
    while (::umount2(target().c_str(), MNT_DETACH) == 0) continue;
    std::filesystem::remove_all(folder_);
  }

  std::filesystem::path target() const { return folder_ / "mnt"; }
  std::filesystem::path image() const { return folder_ / "image"; }
  std::string hello() const { return read_text_file(target() / "hello", 100); }
  static std::string utab() {
    return std::filesystem::exists("/run/mount/utab") ? read_text_file("/run/mount/utab", 10'000) : "";
  }

  std::filesystem::path folder_;
  UniqueFd image_fd_;
};

/// The Error that `body` throws; its absence fails the test.
template <typename Body>
Error error_of(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "nothing was thrown";
  return Error(ErrorKind::system, "nothing was thrown");
}

}  // namespace erofs_oci
