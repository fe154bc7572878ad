// SPDX-License-Identifier: Apache-2.0
#include "erofs/xattr_name.h"

#include <array>
#include <utility>

#include "base/bytes.h"
#include "erofs/ondisk.h"
#include "erofs/tree.h"
#include "erofs/xxh32.h"

namespace erofs_oci::erofs {
namespace {

/// A namespace ends in "."; the others are whole names. Numbers are the kernel's (EROFS_XATTR_INDEX_*).
constexpr std::array<std::pair<uint8_t, std::string_view>, 5> kPrefixes{{
    {1, "user."},
    {2, "system.posix_acl_access"},
    {3, "system.posix_acl_default"},
    {4, "trusted."},
    {6, "security."},
}};

constexpr uint32_t kFilterSeed = 0x25BBE08F;

}  // namespace

std::optional<XattrName> split_xattr_name(std::string_view name) {
  for (const auto& [index, prefix] : kPrefixes) {
    if (!name.starts_with(prefix)) continue;
    const std::string_view suffix = name.substr(prefix.size());
    if (suffix.empty() != prefix.ends_with('.')) return XattrName{index, suffix};
  }
  return std::nullopt;
}

std::optional<std::string_view> xattr_prefix(uint8_t index) {
  for (const auto& [known, prefix] : kPrefixes) {
    if (known == index) return prefix;
  }
  return std::nullopt;
}

uint32_t xattr_filter_bit(const XattrName& name) {
  return 1u << (xxh32(as_bytes(name.suffix), kFilterSeed + name.index) & 31);
}

bool can_store_xattr(const std::string& name, const std::string& value) {
  const auto split = split_xattr_name(name);
  return split && split->suffix.size() <= kMaxName && value.size() <= UINT16_MAX;
}

}  // namespace erofs_oci::erofs
