// SPDX-License-Identifier: Apache-2.0
#include "registry/content_range.h"

#include "base/text.h"

namespace erofs_oci::registry {

std::optional<ContentRange> parse_content_range(std::string_view field) {
  constexpr std::string_view kUnit = "bytes ";
  constexpr uint64_t kLargest = uint64_t{1} << 63;
  if (!field.starts_with(kUnit)) return std::nullopt;
  field.remove_prefix(kUnit.size());
  const size_t dash = field.find('-');
  const size_t slash = field.find('/');
  if (dash == std::string_view::npos || slash == std::string_view::npos || dash > slash) return std::nullopt;
  const auto first = parse_u64(field.substr(0, dash));
  const auto last = parse_u64(field.substr(dash + 1, slash - dash - 1));
  if (!first || !last || *first > *last || *last >= kLargest) return std::nullopt;
  ContentRange out{ByteRange::from_to(*first, *last + 1), std::nullopt};
  if (field.substr(slash + 1) == "*") return out;
  out.total = parse_u64(field.substr(slash + 1));
  if (!out.total || !out.range.fits_in(*out.total)) return std::nullopt;
  return out;
}

}  // namespace erofs_oci::registry
