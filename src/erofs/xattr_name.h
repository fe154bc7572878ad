// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace erofs_oci::erofs {

/// A name as EROFS keeps it: an index for its namespace, and what follows.
struct XattrName {
  uint8_t index;
  std::string_view suffix;
};

/// nullopt where EROFS has no index for the namespace, or nothing follows it.
std::optional<XattrName> split_xattr_name(std::string_view name);

/// "user." and so on; nullopt for an index that means nothing here.
std::optional<std::string_view> xattr_prefix(uint8_t index);

/// The bit that the name clears in the filter of its inode (erofs_fs.h, EROFS_XATTR_FILTER_SEED): where it is
/// set, the kernel knows without a search that the inode has no such xattr.
uint32_t xattr_filter_bit(const XattrName& name);

}  // namespace erofs_oci::erofs
