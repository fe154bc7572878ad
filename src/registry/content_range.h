// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

#include "base/byte_range.h"

namespace erofs_oci::registry {

/// What a Content-Range field says of a body (RFC 9110, 14.4): "bytes 0-99/1000".
struct ContentRange {
  ByteRange range;                ///< not empty
  std::optional<uint64_t> total;  ///< of the whole object; none for "*"

  friend bool operator==(const ContentRange&, const ContentRange&) = default;
};

/// nullopt for another unit, an empty or reversed range, or one that does not fit in its total or in 2^63.
std::optional<ContentRange> parse_content_range(std::string_view field);

}  // namespace erofs_oci::registry
