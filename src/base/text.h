// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace erofs_oci {

/// A size for people in binary units: "0 B", "1.7 MiB".
std::string human_size(uint64_t size_bytes);

/// A decimal uint64_t that fills all of `text`; nullopt for anything else, overflow included.
std::optional<uint64_t> parse_u64(std::string_view text);

/// "90s", "5m", "2h", "500ms", or a plain number of seconds; nullopt for anything else or more than 10 years.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

/// "64MiB", "10G", "1.5GiB" (K, M, G, T with or without iB or B, all binary), or a plain number of bytes.
std::optional<uint64_t> parse_size(std::string_view text);

/// The candidate with the smallest edit distance to `word`, where it is at most a third of the word's length
/// + 1.
std::optional<std::string_view> nearest(std::string_view word, std::span<const std::string_view> candidates);

/// `text` for a message or a terminal: control characters and invalid bytes become \xNN, and it is cut at
/// `limit`.
std::string printable(std::string_view text, size_t limit = 200);

/// The offset of the first byte of `text` that is not part of well-formed UTF-8 (RFC 3629); nullopt where all
/// is.
std::optional<size_t> find_invalid_utf8(std::string_view text);

/// 32 hex digits from the kernel's random number generator.
std::string random_hex_128();

}  // namespace erofs_oci
