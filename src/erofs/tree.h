// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

namespace erofs_oci::erofs {

/// A number of a node in Tree::nodes.
using NodeId = uint32_t;

struct Xattr {
  std::string name;  ///< with its namespace
  std::string value;
  friend auto operator<=>(const Xattr&, const Xattr&) = default;
};

/// Bytes [file_offset, file_offset + length) of a regular file lie at `address` of the data area, which is what
/// follows the metadata (an image), or extra device 1 (a tarindex). `length` is not 0.
struct FileData {
  uint64_t file_offset = 0;
  uint64_t address = 0;
  uint64_t length = 0;
};

/// An inode before it has a place. Directory entries are names that lead to nodes, so hard links share one.
struct Node {
  uint16_t mode = 0;  ///< type and permissions, as st_mode
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t device_major = 0;
  uint32_t device_minor = 0;
  uint32_t mtime_nanoseconds = 0;
  int64_t mtime = 0;
  uint32_t xattrs = 0;         ///< in Tree::xattr_sets
  uint64_t size = 0;           ///< of a regular file
  uint64_t address = 0;        ///< in the data area of an image, of a regular file that has a size but no data
  std::string target;          ///< of a symlink
  std::vector<FileData> data;  ///< of a regular file; sorted; what they leave out is a hole
  std::map<std::string, NodeId, std::less<>> children;  ///< of a directory, without "." and ".."
};

/// A file tree. Node 0 is the root directory; nodes that no directory reaches are not part of the image.
struct Tree {
  std::deque<Node> nodes;  ///< not a vector, which takes three times the room while it grows
  std::vector<std::vector<Xattr>> xattr_sets{{}};  ///< each sorted by name; the first is the empty one
};

/// Whether EROFS has an index for the namespace of xattr `name` (user., trusted., security., the POSIX ACLs) and its
/// other bounds hold: a name of at most 255 bytes without the prefix, a value of at most 65535.
bool can_store_xattr(const std::string& name, const std::string& value);

}  // namespace erofs_oci::erofs
