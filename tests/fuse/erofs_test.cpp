// SPDX-License-Identifier: Apache-2.0
// EROFS on the served file: what the transport is for.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

#include <cstdlib>
#include <filesystem>

#include "base/fs_context.h"
#include "base/proc_path.h"
#include "fuse/serving.h"

namespace erofs_oci::fuse {
namespace {

/// An EROFS with one file of 5 MiB, mounted nowhere.
class FuseErofsTest : public FuseTest {
 protected:
  void SetUp() override {
    FuseTest::SetUp();
    if (IsSkipped()) return;
    if (std::system("command -v mkfs.erofs >/dev/null") != 0)
      GTEST_SKIP() << "needs mkfs.erofs (package erofs-utils)";
    serve(make_image());
  }

  std::string make_image() const {
    std::string folder = testing::TempDir() + "fuse_erofs_test.XXXXXX";
    if (::mkdtemp(folder.data()) == nullptr) throw errno_error("{}", folder);
    std::filesystem::create_directory(folder + "/tree");
    write_file_durably(folder + "/tree/data", data_, 0644);
    const auto command = fmt::format("mkfs.erofs --quiet {0}/image {0}/tree >/dev/null", folder);
    EXPECT_EQ(std::system(command.c_str()), 0);
    std::string image = read_text_file(folder + "/image", kGiB);
    std::filesystem::remove_all(folder);
    return image;
  }

  static UniqueFd mount_erofs(const std::string& source) {
    FsContext context("erofs");
    context.set_string("source", source);
    context.set_flag("ro");
    context.create();
    return context.mount(MOUNT_ATTR_RDONLY);
  }

  UniqueFd make_loop_device(std::string& path) const {
    const UniqueFd file = file_->open();
    const UniqueFd control = open_file("/dev/loop-control", O_RDWR);
    path = fmt::format("/dev/loop{}", ::ioctl(control.get(), LOOP_CTL_GET_FREE));
    UniqueFd loop = open_file(path, O_RDONLY);
    loop_config config{};
    config.fd = static_cast<uint32_t>(file.get());
    config.info.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO;
    if (::ioctl(loop.get(), LOOP_CONFIGURE, &config) != 0) throw errno_error("{}", path);
    return loop;
  }

  std::string read_data(const UniqueFd& mount) const {
    return read_range(open_file(proc_path(mount.get()) + "/data", O_RDONLY).get(), {0, data_.size() + 1});
  }

  const std::string data_ = noise(5 * kMiB + 99);
};

TEST_F(FuseErofsTest, MountsDirectlyAndVanishesWithTheMount) {
  {
    const UniqueFd file = file_->open();
    UniqueFd mount;
    try {
      mount = mount_erofs(proc_path(file.get()));
    } catch (const Error& error) {
      ASSERT_EQ(error.errno_value(), ENOTBLK) << error.what();
      GTEST_SKIP() << "needs Linux 6.12, which mounts files directly";
    }
    file_.reset();
    EXPECT_EQ(read_data(mount), data_);
  }
  EXPECT_EQ(server_->wait(), Server::End::unmounted);
}

TEST_F(FuseErofsTest, MountsThroughALoopDeviceAndVanishesWithTheMount) {
  std::string path;
  {
    UniqueFd loop = make_loop_device(path);
    const UniqueFd mount = mount_erofs(path);
    loop.reset();
    file_.reset();
    EXPECT_EQ(read_data(mount), data_);
  }
  EXPECT_EQ(server_->wait(), Server::End::unmounted);
}

TEST_F(FuseErofsTest, ErrorBecomesEioOfTheFileAndPasses) {
  std::string path;
  const UniqueFd loop = make_loop_device(path);
  const UniqueFd mount = mount_erofs(path);
  const UniqueFd data = open_file(proc_path(mount.get()) + "/data", O_RDONLY);
  device_->errno_value = ETIMEDOUT;
  char byte;
  EXPECT_EQ(::pread(data.get(), &byte, 1, 4 * kMiB), -1);
  EXPECT_EQ(errno, EIO);
  device_->errno_value = 0;
  EXPECT_EQ(read_range(data.get(), {4 * kMiB, 10}), data_.substr(4 * kMiB, 10));
}

TEST_F(FuseErofsTest, ReadsWaitForASuccessor) {
  std::string path;
  const UniqueFd loop = make_loop_device(path);
  const UniqueFd mount = mount_erofs(path);
  const UniqueFd connection = server_->copy_connection();
  server_->stop();
  std::string read;
  std::thread reader([&] { read = read_data(mount); });
  const RunningServer successor(server_->copy_connection(), device_, server_->copy_table());
  reader.join();
  EXPECT_EQ(read, data_);
}

}  // namespace
}  // namespace erofs_oci::fuse
