// SPDX-License-Identifier: Apache-2.0
// The kernel as the judge: what it shows of a mounted image is the tree that was written. Needs root and loop
// devices.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "erofs/directory_tree.h"
#include "erofs/image_file.h"
#include "erofs/sample_trees.h"

namespace erofs_oci::erofs {
namespace {

using namespace testing;
using ::testing::ContainerEq;

bool kernel_knows_erofs() {
  return std::system("grep -qw erofs /proc/filesystems || modprobe -q erofs 2>/dev/null") == 0;
}

/// An image mounted through a loop device; metadata and data are one file, as the daemon serves them.
class Mounted {
 public:
  Mounted(const Tree& tree, const WriteOptions& options, const std::string& data)
      : file_(tree, options, data) {
    std::filesystem::create_directory(path());
    const auto command = fmt::format("mount -t erofs -o ro,loop {} {}", file_.image(), path());
    EXPECT_EQ(std::system(command.c_str()), 0);
  }
  ~Mounted() { EXPECT_EQ(std::system(fmt::format("umount {}", path()).c_str()), 0); }
  Mounted(const Mounted&) = delete;
  Mounted& operator=(const Mounted&) = delete;

  std::string path() const { return file_.path("mount"); }

 private:
  ImageFile file_;
};

/// What the kernel does not show: where the data is.
std::vector<std::string> listing_without_places(Tree tree) {
  for (Node& node : tree.nodes) node.data.clear();
  return listing(tree);
}

class KernelTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    if (!kernel_knows_erofs()) GTEST_SKIP() << "needs a kernel with EROFS";
  }
};

class Kernel : public KernelTest, public ::testing::WithParamInterface<WriteOptions> {
 protected:
  static void expect_shown(const Tree& tree, const std::string& data = "") {
    const Mounted mounted(tree, GetParam(), data);
    EXPECT_EQ(listing_without_places(DirectoryTree(mounted.path(), 4096).tree()),
              listing_without_places(tree));
  }
};

INSTANTIATE_TEST_SUITE_P(
    Writer, Kernel,
    ::testing::Values(WriteOptions{.epoch = kEpoch},
                      WriteOptions{.block_size = 512, .data_area = DataArea::extra_device, .epoch = kEpoch},
                      WriteOptions{.data_area = DataArea::extra_device, .epoch = kEpoch}),
    [](const auto& which) {
      const bool image = which.param.data_area == DataArea::behind_metadata;
      return fmt::format("{}{}", image ? "image" : "tarindex", which.param.block_size);
    });

TEST_P(Kernel, ShowsEachTypeOfFile) {
  expect_shown(varied_tree(), noise(16 * kKiB));
}

TEST_P(Kernel, ShowsDirectoriesAndSymlinksOfEachSize) {
  expect_shown(tree_of_many_sizes());
}

TEST_P(Kernel, ShowsXattrs) {
  expect_shown(tree_with_xattrs());
}

TEST_P(Kernel, ReadsData) {
  const std::string data = noise(64 * kKiB);
  const Mounted mounted(varied_tree(), GetParam(), data);
  EXPECT_EQ(read_text_file(mounted.path() + "/usr/file", kMiB), data.substr(8192, 5000));
}

TEST_F(KernelTest, ReadsHolesOfATarindex) {
  const std::string data = noise(kSparseData);
  const Tree tree = sparse_tree();
  const Mounted mounted(tree, tarindex_options(), data);
  for (const auto& [name, id] : tree.nodes[0].children) {
    const Node& node = tree.nodes[id];
    std::string expected(std::min<uint64_t>(node.size, kMiB), '\0');
    for (const FileData& piece : node.data) {
      expected.replace(piece.file_offset, piece.length, data, piece.address, piece.length);
    }
    const UniqueFd file = open_file(mounted.path() + "/" + name, O_RDONLY);
    std::string got(expected.size(), '\0');
    pread_exactly(file.get(), 0, std::as_writable_bytes(std::span(got)), name);
    EXPECT_TRUE(got == expected) << name;
  }
}

}  // namespace
}  // namespace erofs_oci::erofs
