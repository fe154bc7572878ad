// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "tar/header.h"
#include "tar/member.h"
#include "tar/pax.h"

namespace erofs_oci {

/// What stands before a member's own header and overrides it.
struct TarOverrides {
  PaxFields pax;
  std::string long_name;  ///< GNU type 'L'; empty where there was none
  std::string long_link;  ///< GNU type 'K'
};

/// What the member at `header` is called: by a sparse file's record, by GNU, by PAX, or by its header, in
/// Go's order. Error corrupt where that is empty.
std::string take_path(TarHeader& header, TarOverrides& overrides);

/// The type of the member at `header` that is called `path`.
TarType tar_type(const TarHeader& header, const std::string& path);

/// Whether no data follow a header with this type flag, whatever its size field says.
bool is_header_only(char type);

/// Fills in all of `member` but its data and size; path and type are there. Error corrupt or unsupported.
void describe(TarMember& member, TarHeader& header, TarOverrides& overrides);

}  // namespace erofs_oci
