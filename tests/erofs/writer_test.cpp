// SPDX-License-Identifier: Apache-2.0
#include "erofs/writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include "erofs/ondisk.h"
#include "erofs/sample_trees.h"

namespace erofs_oci::erofs {
namespace {

using namespace testing;
using ::testing::ElementsAre;

class EachLayout : public ::testing::TestWithParam<WriteOptions> {};

INSTANTIATE_TEST_SUITE_P(
    Writer, EachLayout,
    ::testing::Values(image_options(kMiB), tarindex_options(),
                      WriteOptions{.block_size = 512, .data_size = kMiB, .epoch = kEpoch},
                      WriteOptions{.data_area = DataArea::extra_device, .data_size = kMiB, .epoch = kEpoch}),
    [](const auto& which) {
      const bool image = which.param.data_area == DataArea::behind_metadata;
      return fmt::format("{}{}", image ? "image" : "tarindex", which.param.block_size);
    });

std::vector<std::string> read_back(const Tree& tree, const WriteOptions& options) {
  const std::string metadata = write_metadata(tree, options);
  const bool is_image = options.data_area == DataArea::behind_metadata;
  return listing(read_tree(reader_of(metadata), is_image ? metadata.size() : 0));
}

TEST_P(EachLayout, IsReadAsItWasWritten) {
  const Tree tree = varied_tree();
  EXPECT_EQ(read_back(tree, GetParam()), listing(tree));
}

TEST_P(EachLayout, HoldsDirectoriesOfManyBlocks) {
  Tree tree = empty_tree();
  for (int i = 0; i < 5000; ++i) add_file(tree, add_directory(tree, 0, fmt::format("directory{}", i)), "x");
  EXPECT_EQ(read_back(tree, GetParam()), listing(tree));
}

TEST_P(EachLayout, HoldsDirectoriesAndSymlinksOfEachSize) {
  const Tree tree = tree_of_many_sizes();
  EXPECT_EQ(read_back(tree, GetParam()), listing(tree));
}

TEST_P(EachLayout, InlineContentStaysInTheBlockOfItsInode) {
  Tree tree = empty_tree();
  for (size_t i = 1; i < 500; ++i) {
    add_symlink(tree, 0, std::to_string(i), std::string(i, 'x'));
    add_file(tree, 0, fmt::format("file{}", i));
  }
  const std::string metadata = write_metadata(tree, GetParam());
  const Reader reader = reader_of(metadata);
  for (size_t i = 1; i < 500; ++i) {
    const Inode inode = find(reader, std::to_string(i));
    if (inode.layout != Layout::flat_inline) continue;
    const uint64_t begin = reader.super().inode_offset(inode.nid);
    const uint64_t end = inode.data_offset + inode.size;
    EXPECT_EQ(begin / GetParam().block_size, (end - 1) / GetParam().block_size) << i;
  }
}

TEST_P(EachLayout, GivesPiecesOfBoundedSize) {
  Tree tree = empty_tree();
  const uint32_t set =
      add_xattrs(tree, {{"user.large", std::string(65535, 'v')}, {"user.large2", std::string(65535, 'v')}});
  for (int i = 0; i < 100; ++i) tree.nodes[add_file(tree, 0, std::to_string(i))].xattrs = set;
  for (int i = 0; i < 20000; ++i) add_file(tree, 0, fmt::format("some longer name {}", i));
  Writer(tree, GetParam()).write([](Bytes piece) { EXPECT_LE(piece.size(), 64 * kKiB); });
}

TEST_P(EachLayout, SameTreeGivesSameBytes) {
  EXPECT_EQ(write_metadata(varied_tree(), GetParam()), write_metadata(varied_tree(), GetParam()));
}

TEST(Writer, InodesAreCompactWhereTheyCan) {
  struct Case {
    const char* name;
    Node node;
    bool extended;
  };
  constexpr uint16_t kMode = S_IFREG | 0644;
  const std::vector<Case> cases{
      {"plain", {.mode = kMode, .uid = 65535, .gid = 65535, .mtime = kEpoch}, false},
      {"uid", {.mode = kMode, .uid = 65536, .mtime = kEpoch}, true},
      {"gid", {.mode = kMode, .gid = 65536, .mtime = kEpoch}, true},
      {"time", {.mode = kMode, .mtime = kEpoch + 1}, true},
      {"nanosecond", {.mode = kMode, .mtime_nanoseconds = 1, .mtime = kEpoch}, true},
      {"4 GiB less 1", {.mode = kMode, .mtime = kEpoch, .size = 4 * kGiB - 1}, false},
      {"4 GiB", {.mode = kMode, .mtime = kEpoch, .size = 4 * kGiB}, true},
  };
  Tree tree = empty_tree();
  for (const Case& one : cases) add(tree, 0, one.name, one.node);
  const std::string metadata = write_metadata(tree, tarindex_options());
  for (const Case& one : cases)
    EXPECT_EQ(find(reader_of(metadata), one.name).extended, one.extended) << one.name;
}

TEST(Writer, MoreThan65535LinksNeedAnExtendedInode) {
  Tree tree = empty_tree();
  const NodeId file = add_file(tree, 0, "0");
  for (int i = 1; i < 65536; ++i) tree.nodes[0].children[std::to_string(i)] = file;
  const std::string metadata = write_metadata(tree, image_options());
  EXPECT_EQ(find(reader_of(metadata), "65535").nlink, 65536u);
  EXPECT_EQ(reader_of(metadata).super().inodes, 2u);
}

TEST(Writer, DataOfAnImageFollowsItsMetadata) {
  Tree tree = empty_tree();
  add_file(tree, 0, "data", 10'000, {{0, 4096, 10'000}});
  add_file(tree, 0, "hole in front", 10'000, {{5000, 20480 + 5000, 100}, {7000, 1, 1}});
  const NodeId hole = add_file(tree, 0, "hole", 1);
  tree.nodes[hole].address = 40960;
  const std::string metadata = write_metadata(tree, image_options(kMiB));
  const Reader reader = reader_of(metadata);
  const auto block_behind = [&](const char* name) { return find(reader, name).u - metadata.size() / 4096; };
  EXPECT_EQ(block_behind("data"), 1u);
  EXPECT_EQ(block_behind("hole in front"), 5u);
  EXPECT_EQ(block_behind("hole"), 10u);
  EXPECT_EQ(reader.super().size_bytes, metadata.size() + kMiB);
}

TEST(Writer, RootIsFirstWhateverItHas) {
  Tree tree = empty_tree();
  add_xattrs(tree, {{"user.a", std::string(60'000, 'a')}, {"user.b", std::string(60'000, 'b')}});
  for (int i = 2; i < 50; ++i) add_xattrs(tree, {{"user.shared", std::string(60'000, static_cast<char>(i))}});
  tree.nodes[0].xattrs = 1;
  for (int i = 0; i < 100; ++i) tree.nodes[add_file(tree, 0, std::to_string(i))].xattrs = i % 50;
  EXPECT_EQ(read_back(tree, tarindex_options()), listing(tree));
}

TEST(Writer, FilesWithHolesKeepThem) {
  const Tree tree = sparse_tree();
  EXPECT_EQ(read_back(tree, tarindex_options(kSparseData)), listing(tree));
}

TEST(Writer, NodesThatNoDirectoryReachesAreLeftOut) {
  Tree tree = empty_tree();
  add_file(tree, 0, "here");
  const NodeId lost = add_directory(tree, 0, "lost");
  add_file(tree, lost, "file");
  tree.nodes[lost].children["itself"] = lost;
  tree.nodes[0].children.erase("lost");
  EXPECT_EQ(Writer(tree, image_options()).inode_count(), 2u);
  const std::string metadata = write_metadata(tree, image_options());
  EXPECT_EQ(read_tree(reader_of(metadata)).nodes.size(), 2u);
}

TEST(Writer, DeepTreesNeedNoStack) {
  Tree tree = empty_tree();
  NodeId directory = 0;
  for (int i = 0; i < 100'000; ++i) directory = add_directory(tree, directory, "d");
  const std::string metadata = write_metadata(tree, tarindex_options());
  EXPECT_EQ(read_tree(reader_of(metadata)).nodes.size(), 100'001u);
}

TEST(Writer, LaysHundredsOfThousandsOfFilesOutInFewMegabytes) {
  Tree tree = empty_tree();
  for (int i = 0; i < 1000; ++i) {
    const NodeId directory = add_directory(tree, 0, std::to_string(i));
    for (int file = 0; file < 300; ++file) add_file(tree, directory, std::to_string(file));
  }
  const size_t before = ::mallinfo2().uordblks;
  const Writer writer(tree, image_options());
  EXPECT_LT(::mallinfo2().uordblks - before, 15 * kMiB);
  EXPECT_EQ(writer.inode_count(), 301'001u);
}

TEST(Writer, InodesOfADirectoryLieTogether) {
  Tree tree = empty_tree();
  for (int i = 0; i < 10; ++i) {
    const NodeId directory = add_directory(tree, 0, std::to_string(i));
    for (int file = 0; file < 4; ++file)
      add_file(tree, add_directory(tree, directory, std::to_string(file)), "x");
  }
  const std::string metadata = write_metadata(tree, image_options());
  std::vector<uint64_t> distances;
  for (const char* name : {"1", "2", "3"}) {
    distances.push_back(find(reader_of(metadata), std::string("5/") + name).nid -
                        find(reader_of(metadata), "5/0").nid);
  }
  EXPECT_THAT(distances, ElementsAre(3, 6, 9));
}

}  // namespace
}  // namespace erofs_oci::erofs
