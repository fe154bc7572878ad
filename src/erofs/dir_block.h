// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <functional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "erofs/ondisk.h"
#include "erofs/tree.h"

namespace erofs_oci::erofs {

/// Visits the entries of a directory in the order that EROFS searches them in: by unsigned bytes, "." and
/// ".." among the others ('!' sorts before '.', and "..." behind "..").
template <typename Visit>
void for_each_entry(const Node& directory, NodeId self, NodeId parent, Visit visit) {
  const std::array<std::pair<std::string_view, NodeId>, 2> dots{{{".", self}, {"..", parent}}};
  size_t dot = 0;
  for (const auto& [name, id] : directory.children) {
    for (; dot < dots.size() && dots[dot].first < name; ++dot) visit(dots[dot].first, dots[dot].second);
    visit(std::string_view(name), id);
  }
  for (; dot < dots.size(); ++dot) visit(dots[dot].first, dots[dot].second);
}

/// Adds up how many bytes a directory takes: entries and names are packed per block, and no entry crosses
/// one.
class DirectorySize {
 public:
  explicit DirectorySize(uint32_t block_size) : block_size_(block_size) {}

  /// Whether the entry begins a new block.
  bool add(size_t name_length);
  uint64_t bytes() const { return full_blocks_ * block_size_ + used_; }

 private:
  uint32_t block_size_;
  uint64_t full_blocks_ = 0;
  uint64_t used_ = 0;
};

/// Puts entries together into blocks. The last one is as long as what is in it, the others are padded.
class DirectoryBlocks {
 public:
  /// `sink` gets each block and its number.
  using Sink = std::function<void(uint64_t number, Bytes block)>;

  DirectoryBlocks(uint32_t block_size, Sink sink);

  /// Entries come sorted; `name` must stay until the block is done.
  void add(std::string_view name, uint64_t nid, FileType type);
  void finish();

 private:
  struct Pending {
    std::string_view name;
    uint64_t nid;
    FileType type;
  };

  void emit(bool padded);

  uint32_t block_size_;
  Sink sink_;
  DirectorySize size_;
  uint64_t number_ = 0;
  std::vector<Pending> pending_;
  std::vector<std::byte> block_;
};

}  // namespace erofs_oci::erofs
