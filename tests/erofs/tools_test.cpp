// SPDX-License-Identifier: Apache-2.0
// erofs-utils as judges: fsck.erofs accepts what the writer wrote, and mkfs.erofs needs no less room.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <memory>

#include "erofs/directory_tree.h"
#include "erofs/image_file.h"
#include "erofs/sample_trees.h"

namespace erofs_oci::erofs {
namespace {

using namespace testing;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr WriteOptions kImage{.epoch = kEpoch};
constexpr WriteOptions kTarindex{.data_area = DataArea::extra_device, .epoch = kEpoch};

/// What fsck.erofs says of an image. Its exit code says nothing in older versions.
std::string fsck(const std::string& arguments) {
  const std::unique_ptr<FILE, int (*)(FILE*)> output(
      ::popen(("fsck.erofs -d3 " + arguments + " 2>&1").c_str(), "r"), ::pclose);
  return read_text(::fileno(output.get()), kMiB, "fsck.erofs");
}

/// Older versions know blocks of 4096 bytes only, so that is what is judged.
std::string fsck(const Tree& tree, const WriteOptions& options, const std::string& data) {
  const ImageFile file(tree, options, data);
  const bool is_image = options.data_area == DataArea::behind_metadata;
  return fsck(is_image ? file.image() : fmt::format("--device={} {}", file.data(), file.metadata()));
}

const auto is_accepted = AllOf(HasSubstr("No error"), Not(HasSubstr("<E>")));

class Fsck : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!has_program("fsck.erofs")) GTEST_SKIP() << "needs fsck.erofs (package erofs-utils)";
  }
};

TEST_F(Fsck, AcceptsImages) {
  EXPECT_THAT(fsck(varied_tree(), kImage, noise(16 * kKiB)), is_accepted);
  EXPECT_THAT(fsck(tree_with_xattrs(), kImage, ""), is_accepted);
  EXPECT_THAT(fsck(tree_of_many_sizes(), kImage, ""), is_accepted);
}

TEST_F(Fsck, AcceptsTarindexes) {
  EXPECT_THAT(fsck(varied_tree(), kTarindex, noise(16 * kKiB)), is_accepted);
  EXPECT_THAT(fsck(tree_with_xattrs(), kTarindex, ""), is_accepted);
  EXPECT_THAT(fsck(tree_of_many_sizes(), kTarindex, ""), is_accepted);
}

TEST_F(Fsck, SeesDamage) {
  const ImageFile file(varied_tree(), kImage, noise(16 * kKiB));
  write_file(file.image(), read_text_file(file.image(), kMiB).replace(kSuperOffset + 80, 1, "x"));
  EXPECT_THAT(fsck(file.image()), Not(is_accepted));
}

/// Fills a folder with what /usr/share/doc looks like: many directories of few files and symlinks.
void fill(const std::filesystem::path& folder) {
  for (int i = 0; i < 700; ++i) {
    const auto package = folder / fmt::format("package-{}{}", i, std::string(i % 23, 'n'));
    std::filesystem::create_directory(package);
    for (int file = 0; file < i % 9; ++file)
      write_file(package / fmt::format("file-{}.txt", file), noise(i + 1));
    if (i % 5 == 0) std::filesystem::create_symlink("../package-0/file-0.txt", package / "changelog.gz");
  }
  for (int i = 0; i < 1500; ++i)
    write_file(folder / fmt::format("a-file-in-a-large-directory-{}", i), noise(i + 1));
}

/// With times of their own inodes have 64 bytes, without 32.
class MkfsComparison : public ::testing::TestWithParam<bool> {};

INSTANTIATE_TEST_SUITE_P(Writer, MkfsComparison, ::testing::Bool());

TEST_P(MkfsComparison, MetadataIsNotLarger) {
  if (!has_program("mkfs.erofs")) GTEST_SKIP() << "needs mkfs.erofs (package erofs-utils)";
  const erofs_oci::testing::TemporaryFolder folder;
  std::filesystem::create_directory(folder / "tree");
  fill(folder / "tree");
  const auto command = fmt::format(
      "cd {} && mkfs.erofs --quiet {} --chunksize=1048576 --blobdev=data metadata tree >/dev/null",
      folder.path().string(), GetParam() ? "--preserve-mtime" : "-T1000000000");
  ASSERT_EQ(std::system(command.c_str()), 0);

  const DirectoryTree directory(folder / "tree", 4096);
  Tree tree = directory.tree();
  for (Node& node : tree.nodes) {
    node.mtime = GetParam() ? kEpoch + 1 : kEpoch;
    node.mtime_nanoseconds = 0;
  }
  WriteOptions options = kTarindex;
  options.data_size = directory.data_size();
  EXPECT_LE(Writer(tree, options).metadata_size(), std::filesystem::file_size(folder / "metadata"));
}

}  // namespace
}  // namespace erofs_oci::erofs
