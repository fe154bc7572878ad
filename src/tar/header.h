// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"

namespace erofs_oci {

/// Archives are made of blocks of this size (POSIX.1-2017, pax, "ustar Interchange Format").
constexpr size_t kTarBlock = 512;

/// The fields of a member's header block as they stand there; PAX records and GNU long names, which come
/// before it, may override them. A number is nullopt where its field holds none, which only matters if
/// nothing overrides it.
struct TarHeader {
  std::string path;  ///< prefix and name joined
  std::string link;
  char type = '0';    ///< NUL, of old archives, is given as '0'
  uint64_t size = 0;  ///< at most 2^63 - 1
  std::optional<int64_t> mode;
  std::optional<int64_t> uid;
  std::optional<int64_t> gid;
  std::optional<int64_t> mtime;         ///< seconds
  std::optional<int64_t> device_major;  ///< 0 in a v7 header, which has no such field
  std::optional<int64_t> device_minor;
  /// Whether the name field has no room left: the path may be a cut one.
  bool path_may_be_cut = false;
  bool gnu = false;  ///< bears the GNU magic, so the sparse fields may be there
};

/// The header in `block`, kTarBlock bytes; nullopt where its checksum is wrong or its size cannot be read.
std::optional<TarHeader> parse_tar_header(Bytes block);

/// A number of a header field: octal digits between spaces and NULs, none for 0, or base-256 in two's
/// complement where the top bit is set (GNU). nullopt where it is neither or does not fit.
std::optional<int64_t> parse_tar_number(Bytes field);

}  // namespace erofs_oci
