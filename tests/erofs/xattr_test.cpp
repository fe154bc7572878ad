// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "erofs/sample_trees.h"
#include "erofs/xattr_name.h"
#include "erofs/xattr_table.h"
#include "erofs/xxh32.h"

namespace erofs_oci::erofs {
namespace {

using namespace testing;

TEST(CanStoreXattr, KnowsNamespacesAndLengths) {
  const std::string longest(255, 'n');
  const std::string largest(65535, 'v');
  for (const char* name : {"user.a", "trusted.a", "security.capability", "system.posix_acl_access",
                           "system.posix_acl_default", "user..", "user.with space"}) {
    EXPECT_TRUE(can_store_xattr(name, largest)) << name;
  }
  for (const char* name :
       {"", "user", "user.", "User.a", "system.", "system.posix_acl_accesses", "btrfs.compression"}) {
    EXPECT_FALSE(can_store_xattr(name, "")) << name;
  }
  EXPECT_TRUE(can_store_xattr("user." + longest, ""));
  EXPECT_FALSE(can_store_xattr("user." + longest + "n", ""));
  EXPECT_FALSE(can_store_xattr("user.a", largest + "v"));
}

TEST(Xxh32, GivesTheSpecificationsValues) {
  EXPECT_EQ(xxh32({}, 0), 0x02CC5D05u);
  EXPECT_EQ(xxh32(as_bytes("a"), 0), 0x550D7456u);
  EXPECT_EQ(xxh32(as_bytes("abc"), 0), 0x32D153FFu);
  EXPECT_EQ(xxh32(as_bytes("Nobody inspects the spammish repetition"), 0), 0xE2293B2Fu);
}

TEST(XattrTable, SharesWhatSavesRoom) {
  const std::vector<std::vector<Xattr>> sets{{},
                                             {{"user.common", "value"}},
                                             {{"user.common", "value"}, {"user.own", "1"}},
                                             {{"user.unused", "value"}}};
  const XattrTable table(sets, {7, 1, 1, 0});
  EXPECT_EQ(table.shared_size(), 4 + 6 + 5 + 1u);
  EXPECT_EQ(table.body_size(0), 0u);
  EXPECT_EQ(table.body_size(1), 12 + 4u);
  EXPECT_EQ(table.body_size(2), 12 + 4 + 8u);
}

TEST(XattrTable, LeavesWhatOneInodeHasWithIt) {
  const std::vector<std::vector<Xattr>> sets{{}, {{"user.a", "value"}}, {{"user.a", "other"}}};
  const XattrTable table(sets, {0, 1, 1});
  EXPECT_EQ(table.shared_size(), 0u);
  EXPECT_EQ(table.body_size(1), 12 + 4 + 1 + 5 + 2u);
}

TEST(XattrTable, AnInodeSharesAtMost255) {
  std::vector<Xattr> many;
  for (int i = 0; i < 300; ++i) many.push_back({fmt::format("user.{:03}", i), "some value"});
  const std::vector<std::vector<Xattr>> sets{{}, many};
  const XattrTable table(sets, {0, 5});
  EXPECT_EQ(table.body_size(1), 12 + 255 * 4 + 45 * (4 + 3 + 10 + 3u));
}

TEST(WriterXattrs, AreReadAsTheyWereWritten) {
  const Tree tree = tree_with_xattrs();
  for (const WriteOptions& options : {image_options(), tarindex_options()}) {
    const std::string metadata = write_metadata(tree, options);
    EXPECT_EQ(listing(read_tree(reader_of(metadata))), listing(tree));
  }
}

TEST(WriterXattrs, ALabelOnEveryFileCostsAReference) {
  Tree tree = empty_tree();
  for (int i = 0; i < 10'000; ++i) add_file(tree, 0, std::to_string(i));
  const uint64_t without = Writer(tree, image_options()).metadata_size();
  const uint32_t label = add_xattrs(tree, {{"security.selinux", "system_u:object_r:usr_t:s0"}});
  for (Node& node : tree.nodes) node.xattrs = label;
  EXPECT_LE(Writer(tree, image_options()).metadata_size(), without + 10'000 * 32 + 4096);
}

TEST(WriterXattrs, FilterFeatureIsOnlyThereWithXattrs) {
  const auto compat = [](const Tree& tree) {
    const std::string metadata = write_metadata(tree, image_options());
    return load_le<SuperBlock>(metadata.data() + kSuperOffset).feature_compat;
  };
  EXPECT_EQ(compat(empty_tree()), 3u);
  EXPECT_EQ(compat(tree_with_xattrs()), 7u);
}

}  // namespace
}  // namespace erofs_oci::erofs
