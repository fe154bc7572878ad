// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "erofs/tree_testing.h"
#include "erofs/writer.h"

namespace erofs_oci::erofs {
namespace {

using namespace testing;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

/// A tree with directory /usr/lib, and the directory's number.
std::pair<Tree, NodeId> tree_with_folder() {
  Tree tree = empty_tree();
  const NodeId usr = add_directory(tree, 0, "usr");
  const NodeId lib = add_directory(tree, usr, "lib");
  return {std::move(tree), lib};
}

TEST(WriterLimits, NamesOf255BytesAndNoMore) {
  auto [tree, lib] = tree_with_folder();
  add_file(tree, lib, std::string(255, 'n'));
  EXPECT_EQ(refusal(tree, image_options()), "");
  add_file(tree, lib, std::string(256, 'n'));
  EXPECT_THAT(refusal(tree, image_options()), StartsWith("/usr/lib: a name in it has 256 bytes"));
}

TEST(WriterLimits, NamesThatMeanSomethingElse) {
  for (const std::string& name :
       {std::string(), std::string("."), std::string(".."), std::string("a/b"), std::string("a\0b", 3)}) {
    auto [tree, lib] = tree_with_folder();
    add_file(tree, lib, name);
    EXPECT_THAT(refusal(tree, image_options()),
                StartsWith("/usr/lib: no file in it can have the name '" + name.substr(0, 1)));
  }
}

TEST(WriterLimits, SymlinkTargets) {
  for (const size_t size : {size_t{0}, size_t{4096}}) {
    auto [tree, lib] = tree_with_folder();
    add_symlink(tree, lib, "link", std::string(size, 't'));
    EXPECT_THAT(refusal(tree, image_options()),
                StartsWith("/usr/lib/link: the target of a symlink has 1 to 4095"));
  }
}

TEST(WriterLimits, DirectoryWithTwoNames) {
  auto [tree, lib] = tree_with_folder();
  tree.nodes[lib].children["again"] = lib;
  EXPECT_THAT(refusal(tree, image_options()), StartsWith("/usr/lib: its entry 'again' is a second name"));
}

TEST(WriterLimits, RootInsideItself) {
  auto [tree, lib] = tree_with_folder();
  tree.nodes[lib].children["root"] = 0;
  EXPECT_THAT(refusal(tree, image_options()), HasSubstr("second name of a directory"));
}

TEST(WriterLimits, DeviceNumbers) {
  auto [tree, lib] = tree_with_folder();
  add_special(tree, lib, "largest", S_IFCHR | 0600, 4095, (1u << 20) - 1);
  EXPECT_EQ(refusal(tree, image_options()), "");
  add_special(tree, lib, "more", S_IFCHR | 0600, 4096, 0);
  EXPECT_THAT(refusal(tree, image_options()), StartsWith("/usr/lib/more: Linux has no device 4096:0"));
}

TEST(WriterLimits, UnknownTypes) {
  auto [tree, lib] = tree_with_folder();
  add_special(tree, lib, "what", 0644);
  EXPECT_THAT(refusal(tree, image_options()), StartsWith("/usr/lib/what: mode 644"));
}

TEST(WriterLimits, FileSizes) {
  auto [tree, lib] = tree_with_folder();
  add_file(tree, lib, "large", uint64_t{1} << 63);
  EXPECT_THAT(refusal(tree, tarindex_options()), StartsWith("/usr/lib/large: it is larger than"));
}

TEST(WriterLimits, ArchiveOffsets) {
  constexpr uint64_t kEnd = uint64_t{UINT32_MAX} * 512;  // the last block number means a hole
  auto [tree, lib] = tree_with_folder();
  const NodeId file = add_file(tree, lib, "far", 512, {{0, kEnd - 512, 512}});
  EXPECT_EQ(refusal(tree, tarindex_options(kEnd)), "");
  tree.nodes[file].data[0].address = kEnd;
  EXPECT_THAT(refusal(tree, tarindex_options(kEnd)),
              StartsWith("/usr/lib/far: its data at offset 2199023255040"));
}

TEST(WriterLimits, ImagesOfMoreThan32BitsOfBlocks) {
  EXPECT_EQ(refusal(empty_tree(), image_options(uint64_t{1} << 43)), "");
  EXPECT_THAT(refusal(empty_tree(), image_options(uint64_t{1} << 44)), HasSubstr("more than 2^32 blocks"));
  EXPECT_THAT(refusal(empty_tree(), tarindex_options(uint64_t{1} << 41)), HasSubstr("more than 2^32 blocks"));
}

TEST(WriterLimits, DataThatBeginsInsideABlock) {
  auto [tree, lib] = tree_with_folder();
  add_file(tree, lib, "file", 10, {{0, 512, 10}});
  EXPECT_THAT(refusal(tree, image_options(kMiB)),
              StartsWith("/usr/lib/file: its data at 512 does not begin a block"));
  EXPECT_EQ(refusal(tree, tarindex_options()), "");
}

TEST(WriterLimits, DataOutsideTheImage) {
  auto [tree, lib] = tree_with_folder();
  add_file(tree, lib, "file", 4097, {{0, 0, 4097}});
  EXPECT_EQ(refusal(tree, image_options(4097)), "");
  EXPECT_THROW(Writer(tree, image_options(4096)), Error);
}

TEST(WriterLimits, XattrsThatHaveNoPlace) {
  auto [tree, lib] = tree_with_folder();
  tree.nodes[lib].xattrs = add_xattrs(tree, {{"system.nfs4_acl", "x"}});
  EXPECT_THAT(refusal(tree, image_options()),
              StartsWith("/usr/lib: EROFS cannot hold its xattr system.nfs4_acl"));
}

TEST(WriterLimits, TooManyXattrs) {
  auto [tree, lib] = tree_with_folder();
  std::vector<Xattr> xattrs;
  for (const char* name : {"user.1", "user.2", "user.3", "user.4"})
    xattrs.push_back({name, std::string(65535, 'x')});
  xattrs.push_back({"user.5", ""});
  tree.nodes[lib].xattrs = add_xattrs(tree, xattrs);
  EXPECT_THAT(refusal(tree, image_options()), StartsWith("/usr/lib: its xattrs"));
}

TEST(WriterLimits, RootThatIsNoDirectory) {
  Tree tree;
  EXPECT_THROW(Writer(tree, image_options()), Error);
  tree.nodes.push_back(node_of_mode(S_IFREG));
  EXPECT_THROW(Writer(tree, image_options()), Error);
}

}  // namespace
}  // namespace erofs_oci::erofs
