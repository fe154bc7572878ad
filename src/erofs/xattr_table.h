// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/bytes.h"
#include "erofs/tree.h"

namespace erofs_oci::erofs {

/// Which xattrs lie behind their inodes, and which in the shared area because several inodes have them.
/// Immutable.
class XattrTable {
 public:
  /// `users[i]` inodes have the set `sets[i]`; what nobody has is left out. All must be such that
  /// can_store_xattr(). `sets` must outlive the table.
  XattrTable(const std::vector<std::vector<Xattr>>& sets, const std::vector<uint32_t>& users);

  /// Whether no inode has any.
  bool empty() const { return empty_; }
  uint64_t shared_size() const { return shared_size_; }
  void write_shared(const std::function<void(Bytes)>& sink) const;

  /// Bytes of a set behind its inode; 0 for the empty one.
  uint64_t body_size(uint32_t set) const;
  /// What stands there. `shared_offset` is where the shared area begins, from the superblock's xattr_blkaddr
  /// on.
  std::vector<std::byte> body(uint32_t set, uint64_t shared_offset) const;

 private:
  struct Use {
    uint32_t set;
    uint32_t index;
  };

  const Xattr& xattr(Use use) const { return sets_[use.set][use.index]; }
  uint32_t& place(Use use) { return places_[first_places_[use.set] + use.index]; }
  uint32_t place(uint32_t set, size_t index) const { return places_[first_places_[set] + index]; }
  std::vector<Use> sorted_uses(const std::vector<uint32_t>& users) const;
  void share(const Use* begin, const Use* end, std::vector<uint8_t>& shared_counts);

  const std::vector<std::vector<Xattr>>& sets_;
  std::vector<size_t> first_places_;  // of each set, in places_
  std::vector<uint32_t> places_;      // in the shared area, in units of 4 bytes; or kInline
  std::vector<Use> shared_;           // one use of each entry of the shared area, in its order
  uint64_t shared_size_ = 0;
  bool empty_ = true;
};

}  // namespace erofs_oci::erofs
