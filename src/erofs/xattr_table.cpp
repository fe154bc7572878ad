// SPDX-License-Identifier: Apache-2.0
#include "erofs/xattr_table.h"

#include <algorithm>
#include <cassert>
#include <tuple>

#include "erofs/ondisk.h"
#include "erofs/xattr_name.h"

namespace erofs_oci::erofs {
namespace {

constexpr uint32_t kInline = UINT32_MAX;
constexpr uint64_t kMaxSharedArea = uint64_t{UINT32_MAX / 2} * kXattrAlignment;
constexpr uint8_t kMaxSharedOfInode = UINT8_MAX;

XattrName split(const Xattr& xattr) {
  const auto name = split_xattr_name(xattr.name);
  assert(name);
  return *name;
}

uint64_t entry_size(const Xattr& xattr) {
  return round_up(sizeof(XattrEntry) + split(xattr).suffix.size() + xattr.value.size(), kXattrAlignment);
}

void append(std::vector<std::byte>& out, Bytes bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

void append_entry(std::vector<std::byte>& out, const Xattr& xattr) {
  const XattrName name = split(xattr);
  const XattrEntry raw{.name_len = static_cast<uint8_t>(name.suffix.size()),
                       .name_index = name.index,
                       .value_size = static_cast<uint16_t>(xattr.value.size())};
  append(out, std::as_bytes(std::span(&raw, 1)));
  append(out, as_bytes(name.suffix));
  append(out, as_bytes(xattr.value));
  out.resize(round_up(out.size(), kXattrAlignment));
}

uint32_t name_filter(const std::vector<Xattr>& set) {
  uint32_t present = 0;
  for (const Xattr& xattr : set) present |= xattr_filter_bit(split(xattr));
  return ~present;
}

}  // namespace

XattrTable::XattrTable(const std::vector<std::vector<Xattr>>& sets, const std::vector<uint32_t>& users)
    : sets_(sets) {
  assert(users.size() == sets.size());
  first_places_.reserve(sets.size());
  size_t count = 0;
  for (const auto& set : sets) {
    first_places_.push_back(count);
    count += set.size();
  }
  places_.assign(count, kInline);
  const std::vector<Use> uses = sorted_uses(users);
  empty_ = uses.empty();
  std::vector<uint8_t> shared_counts(sets.size());
  const Use* const end = uses.data() + uses.size();
  for (const Use* same = uses.data(); same != end;) {
    const Use* const next = std::find_if(same, end, [&](Use use) { return xattr(use) != xattr(*same); });
    uint64_t inodes = 0;
    for (const Use* use = same; use != next; ++use) inodes += users[use->set];
    const uint64_t size = entry_size(xattr(*same));
    if (size + inodes * sizeof(uint32_t) < inodes * size) share(same, next, shared_counts);
    same = next;
  }
}

std::vector<XattrTable::Use> XattrTable::sorted_uses(const std::vector<uint32_t>& users) const {
  std::vector<Use> uses;
  for (uint32_t set = 0; set < sets_.size(); ++set) {
    if (users[set] == 0) continue;
    for (uint32_t index = 0; index < sets_[set].size(); ++index) uses.push_back({set, index});
  }
  std::sort(uses.begin(), uses.end(), [this](Use left, Use right) {
    const auto order = xattr(left) <=> xattr(right);
    return order != 0 ? order < 0 : std::tie(left.set, left.index) < std::tie(right.set, right.index);
  });
  return uses;
}

/// Makes the equal xattrs [begin, end) one in the shared area.
void XattrTable::share(const Use* begin, const Use* end, std::vector<uint8_t>& shared_counts) {
  if (shared_size_ > kMaxSharedArea) return;
  for (const Use* use = begin; use != end; ++use) {
    if (shared_counts[use->set] == kMaxSharedOfInode) continue;
    ++shared_counts[use->set];
    place(*use) = static_cast<uint32_t>(shared_size_ / kXattrAlignment);
  }
  shared_.push_back(*begin);
  shared_size_ += entry_size(xattr(*begin));
}

void XattrTable::write_shared(const std::function<void(Bytes)>& sink) const {
  std::vector<std::byte> entry;
  for (const Use use : shared_) {
    entry.clear();
    append_entry(entry, xattr(use));
    sink(entry);
  }
}

uint64_t XattrTable::body_size(uint32_t set) const {
  if (sets_[set].empty()) return 0;
  uint64_t size = sizeof(XattrHeader);
  for (size_t i = 0; i < sets_[set].size(); ++i) {
    size += place(set, i) != kInline ? sizeof(uint32_t) : entry_size(sets_[set][i]);
  }
  return size;
}

std::vector<std::byte> XattrTable::body(uint32_t set, uint64_t shared_offset) const {
  const std::vector<Xattr>& xattrs = sets_[set];
  std::vector<std::byte> body;
  if (xattrs.empty()) return body;
  XattrHeader header{.name_filter = name_filter(xattrs)};
  body.resize(sizeof header);
  for (size_t i = 0; i < xattrs.size(); ++i) {
    if (place(set, i) == kInline) continue;
    const auto at = static_cast<uint32_t>(shared_offset / kXattrAlignment + place(set, i));
    append(body, std::as_bytes(std::span(&at, 1)));
    ++header.shared_count;
  }
  store_le(body.data(), header);
  for (size_t i = 0; i < xattrs.size(); ++i) {
    if (place(set, i) == kInline) append_entry(body, xattrs[i]);
  }
  return body;
}

}  // namespace erofs_oci::erofs
