// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "erofs/super_block.h"
#include "erofs/tree.h"

namespace erofs_oci::erofs {

/// What a directory entry leads to.
struct Inode {
  uint64_t nid = 0;
  uint16_t mode = 0;
  uint32_t nlink = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint64_t size = 0;
  int64_t mtime = 0;
  uint32_t mtime_nanoseconds = 0;
  Layout layout = Layout::flat_plain;
  bool extended = false;
  uint32_t u = 0;  ///< start block, chunk format, or device number
  uint64_t xattr_offset = 0;
  uint64_t data_offset = 0;  ///< behind inode and xattrs: inline data, chunk indexes
};

struct Entry {
  uint64_t nid;
  std::string_view name;
};

/// Walks an EROFS image's metadata. Nothing in it is trusted: every length and place is checked, and what
/// does not fit is Error corrupt. One thread at a time.
class Reader {
 public:
  /// Reads bytes of the metadata at an offset; throws where they do not exist.
  using ReadAt = std::function<void(uint64_t offset, MutableBytes out)>;

  Reader(std::string name, uint64_t metadata_size, ReadAt read_at);

  const Super& super() const { return super_; }
  /// Throws where the image has not exactly one extra device.
  ExtraDevice extra_device() const;
  Inode inode(uint64_t nid) const;
  /// Calls `visit` with each entry of a directory, "." and ".." included, until it returns false.
  void list(const Inode& directory, const std::function<bool(const Entry&)>& visit) const;
  std::string symlink_target(const Inode& symlink) const;
  /// Sorted by name; those of a namespace that is not known here are left out.
  std::vector<Xattr> xattrs(const Inode& inode) const;
  /// Where the data of a regular file lies, unless it is inline or compressed: on extra device 1 if the file
  /// has chunks, else in the image. Pieces that follow each other are one.
  std::vector<FileData> data(const Inode& file) const;
  /// The first chunk of a regular file, as an offset in extra device 1; nullopt where the file has none
  /// (empty, a hole).
  std::optional<uint64_t> first_chunk(const Inode& file) const;

 private:
  void read(uint64_t offset, MutableBytes out) const;
  [[noreturn]] void corrupt(const std::string& what) const;
  void read_flat(const Inode& inode, uint64_t offset, MutableBytes out) const;
  template <typename T>
  T read_raw(uint64_t offset) const;
  std::optional<Xattr> read_xattr(uint64_t& at, uint64_t end) const;
  ChunkIndex chunk(const Inode& file, uint64_t number) const;
  bool list_block(Bytes block, const std::function<bool(const Entry&)>& visit) const;

  std::string name_;
  uint64_t metadata_size_;
  ReadAt read_at_;
  Super super_;
};

}  // namespace erofs_oci::erofs
