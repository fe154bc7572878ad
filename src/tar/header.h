// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"

namespace erofs_oci {

/// Archives are made of blocks of this size (POSIX.1-2017, pax, "ustar Interchange Format").
constexpr size_t kTarBlock = 512;

/// The fields of a member's header block as they stand there; PAX records and GNU long names, which come before it,
/// may override them.
struct TarHeader {
  std::string path;  ///< prefix and name joined
  char type = '0';   ///< NUL, of old archives, is given as '0'
  uint64_t size = 0;
  /// Whether the name field has no room left: the path may be a cut one.
  bool path_may_be_cut = false;
};

/// The header in `block`, kTarBlock bytes; nullopt where its checksum is wrong or a number cannot be read.
std::optional<TarHeader> parse_tar_header(Bytes block);

/// A number of a header field: octal digits that end at NUL or space, or base-256 where the top bit is set (GNU).
/// nullopt where it is neither, negative or does not fit.
std::optional<uint64_t> parse_tar_number(Bytes field);

}  // namespace erofs_oci
