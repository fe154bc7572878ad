// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "erofs/super_block.h"

namespace erofs_oci::erofs {

/// What a directory entry leads to, as far as a check of the image needs it.
struct Inode {
  uint64_t nid = 0;
  uint16_t mode = 0;
  uint32_t nlink = 0;
  uint64_t size = 0;
  Layout layout = Layout::flat_plain;
  uint32_t u = 0;             ///< start block, or chunk format
  uint64_t data_offset = 0;   ///< behind inode and xattrs: inline data, chunk indexes
};

struct Entry {
  uint64_t nid;
  std::string_view name;
};

/// Walks an EROFS image's metadata. Nothing in it is trusted: every length and place is checked, and what does not
/// fit is Error corrupt. One thread at a time.
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
  /// The first chunk of a regular file, as an offset in extra device 1; nullopt where the file has none (empty, a hole).
  std::optional<uint64_t> first_chunk(const Inode& file) const;

 private:
  void read(uint64_t offset, MutableBytes out) const;
  [[noreturn]] void corrupt(const std::string& what) const;
  bool list_block(Bytes block, const std::function<bool(const Entry&)>& visit) const;

  std::string name_;
  uint64_t metadata_size_;
  ReadAt read_at_;
  Super super_;
};

}  // namespace erofs_oci::erofs
