// SPDX-License-Identifier: Apache-2.0
#include "erofs/reader.h"

#include <gtest/gtest.h>

#include "erofs/ondisk.h"
#include "erofs/sample_trees.h"

namespace erofs_oci::erofs {
namespace {

using namespace testing;

/// Metadata with its checksum feature off, so that bytes can be altered.
std::string unchecked(const Tree& tree, const WriteOptions& options) {
  std::string metadata = write_metadata(tree, options);
  metadata[kSuperOffset + offsetof(SuperBlock, feature_compat)] &= static_cast<char>(~kCompatSbChecksum);
  return metadata;
}

/// Reads all that it can of the inodes that were there.
void read_all(const std::string& metadata, const std::vector<uint64_t>& nids) {
  const Reader reader = reader_of(metadata);
  for (const uint64_t nid : nids) {
    try {
      const Inode inode = reader.inode(nid);
      reader.xattrs(inode);
      reader.data(inode);
      if (S_ISLNK(inode.mode)) reader.symlink_target(inode);
      if (S_ISDIR(inode.mode)) reader.list(inode, [](const Entry&) { return true; });
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::corrupt) << error.what();
    }
  }
}

std::vector<uint64_t> nids_of(const Reader& reader) {
  std::vector<uint64_t> nids;
  std::vector<uint64_t> directories{reader.super().root_nid};
  while (!directories.empty()) {
    const Inode directory = reader.inode(directories.back());
    directories.pop_back();
    nids.push_back(directory.nid);
    reader.list(directory, [&](const Entry& entry) {
      if (entry.name == "." || entry.name == "..") return true;
      (S_ISDIR(reader.inode(entry.nid).mode) ? directories : nids).push_back(entry.nid);
      return true;
    });
  }
  return nids;
}

TEST(Reader, SurvivesAlteredBytes) {
  Tree xattrs = empty_tree();
  xattrs.xattr_sets = tree_with_xattrs().xattr_sets;
  for (uint32_t set = 0; set < 8; ++set) {
    xattrs.nodes[add_file(xattrs, 0, std::to_string(set))].xattrs = set % xattrs.xattr_sets.size();
  }
  for (const Tree& tree : {varied_tree(), sparse_tree(), xattrs}) {
    const std::string metadata = unchecked(tree, tarindex_options());
    const std::vector<uint64_t> nids = nids_of(reader_of(metadata));
    for (size_t at = kSuperOffset + kDeviceSlotSize; at < metadata.size(); ++at) {
      std::string altered = metadata;
      altered[at] = static_cast<char>(~altered[at]);
      read_all(altered, nids);
    }
  }
}

}  // namespace
}  // namespace erofs_oci::erofs
