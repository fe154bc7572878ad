// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "tar/pax_value.h"
#include "tar/sparse.h"

namespace erofs_oci {

/// What a PAX extended header says of a sparse file (GNU tar manual, "Sparse Formats", "PAX Format, Versions
/// …").
struct PaxSparse {
  std::optional<std::string> name;
  std::optional<uint64_t> major;
  std::optional<uint64_t> minor;
  std::optional<uint64_t> real_size;
  std::optional<uint64_t> range_count;
  SparseMap map;                   ///< of formats 0.0 and 0.1; that of 1.0 stands in the data
  std::optional<uint64_t> offset;  ///< of format 0.0, whose length has not come yet

  bool is_there() const { return major || minor || real_size || map.count() > 0; }
  bool map_is_in_data() const { return major.value_or(0) == 1; }
  /// Error unsupported for a format that is not known, Error corrupt where records are missing or contradict.
  void check() const;
};

/// What PAX extended headers say of a member (POSIX.1-2017, pax, "pax Extended Header"). Records with other
/// keys change nothing that a mounted image shows and are passed over.
struct PaxFields {
  std::optional<std::string> path;
  std::optional<std::string> link;
  std::optional<uint64_t> size;
  std::optional<int64_t> uid;
  std::optional<int64_t> gid;
  std::optional<TarTime> mtime;
  std::optional<int64_t> device_major;
  std::optional<int64_t> device_minor;
  std::map<std::string, std::string> xattrs;             ///< SCHILY.xattr.*
  std::map<std::string, std::string> libarchive_xattrs;  ///< LIBARCHIVE.xattr.*, decoded
  bool has_acl = false;
  PaxSparse sparse;

  /// Takes over an extended header's `records`. A later record replaces an earlier one of the same key, and
  /// an empty value takes back what was said before; only an attribute that was not there becomes an empty
  /// one, as bsdtar and GNU tar write it. Error corrupt names the record.
  void apply(std::string_view records);

  /// Bytes of text that every member inherits from a global header with these fields.
  size_t text_size() const;
};

}  // namespace erofs_oci
