// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace erofs_oci::registry {

/// RFC 4648, 4, with padding.
std::string base64_encode(std::string_view bytes);
/// nullopt for anything but whole groups of the standard alphabet; padding may be left out.
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace erofs_oci::registry
