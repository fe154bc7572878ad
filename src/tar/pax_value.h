// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace erofs_oci {

struct TarTime {
  int64_t seconds = 0;
  uint32_t nanoseconds = 0;  ///< added to seconds, also where they are negative
  friend bool operator==(const TarTime&, const TarTime&) = default;
};

/// Seconds as a decimal number with or without sign and fraction; digits beyond nanoseconds are rounded
/// towards the past. nullopt for anything else and outside of int64_t.
std::optional<TarTime> parse_pax_time(std::string_view text);

/// Base 64 (RFC 4648, section 4) with or without padding; nullopt for anything else.
std::optional<std::string> decode_base64(std::string_view text);

/// `text` with each %NN replaced by the byte it means; what is no such sequence stays as it is, as in
/// libarchive.
std::string decode_percent(std::string_view text);

}  // namespace erofs_oci
