// SPDX-License-Identifier: Apache-2.0
// The golden tarindex of another writer, read into a tree and written again.
#include <gtest/gtest.h>

#include "base/file.h"
#include "erofs/ondisk.h"
#include "erofs/tree_testing.h"

namespace erofs_oci::erofs {
namespace {

using namespace testing;

class GoldenTarindex : public ::testing::TestWithParam<const char*> {
 protected:
  WriteOptions options() const {
    WriteOptions options = tarindex_options(reader_.extra_device().size_bytes);
    options.epoch = reader_.super().epoch;
    std::memcpy(options.uuid.data(), super(golden_).uuid, options.uuid.size());
    return options;
  }
  static SuperBlock super(const std::string& metadata) {
    return load_le<SuperBlock>(metadata.data() + kSuperOffset);
  }

  const std::string golden_ = read_text_file(std::string(TEST_DATA_DIR "/") + GetParam(), kMiB);
  const Reader reader_ = reader_of(golden_);
  const Tree tree_ = read_tree(reader_);
  const std::string written_ = write_metadata(tree_, options());
};

INSTANTIATE_TEST_SUITE_P(Writer, GoldenTarindex, ::testing::Values("layer.erofs", "layer-aufs.erofs"),
                         [](const auto& which) { return which.index == 0 ? "plain" : "aufs"; });

TEST_P(GoldenTarindex, HoldsTheSameTree) {
  EXPECT_EQ(listing(read_tree(reader_of(written_))), listing(tree_));
}

TEST_P(GoldenTarindex, IsNotLarger) {
  EXPECT_LE(written_.size(), golden_.size());
}

TEST_P(GoldenTarindex, HasTheSameSuperblock) {
  SuperBlock expected = super(golden_);
  SuperBlock got = super(written_);
  const ExtraDevice device = reader_of(written_).extra_device();
  EXPECT_EQ(device.offset_bytes, written_.size());
  EXPECT_EQ(device.size_bytes, reader_.extra_device().size_bytes);
  EXPECT_EQ(got.blocks_lo, written_.size() / 512);
  expected.feature_compat &= ~kCompatSbChecksum;  // of 1.9.3, by which 1.8 crashes
  for (SuperBlock* either : {&expected, &got}) {  // what depends on the places of things
    either->checksum = either->blocks_lo = either->root_nid = either->xattr_blkaddr = 0;
  }
  EXPECT_EQ(std::memcmp(&expected, &got, sizeof got), 0);
}

/// The filter of each inode that has xattrs, by path.
void collect_filters(const std::string& metadata, const std::string& path, const Inode& inode,
                     std::map<std::string, uint32_t>& filters) {
  const Reader reader = reader_of(metadata);
  if (inode.data_offset > inode.xattr_offset) {
    filters[path] = load_le<XattrHeader>(metadata.data() + inode.xattr_offset).name_filter;
  }
  if (!S_ISDIR(inode.mode)) return;
  reader.list(inode, [&](const Entry& entry) {
    if (entry.name == "." || entry.name == "..") return true;
    collect_filters(metadata, fmt::format("{}/{}", path, entry.name), reader.inode(entry.nid), filters);
    return true;
  });
}

TEST_P(GoldenTarindex, HasTheSameXattrFilters) {
  std::map<std::string, uint32_t> expected, got;
  collect_filters(golden_, "", find(reader_, ""), expected);
  collect_filters(written_, "", find(reader_of(written_), ""), got);
  EXPECT_EQ(got, expected);
  EXPECT_FALSE(got.empty());
}

}  // namespace
}  // namespace erofs_oci::erofs
