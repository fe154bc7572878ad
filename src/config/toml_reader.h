// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "config/document.h"

namespace erofs_oci {

/// The most that a settings file may hold; also protects the parser, some of whose steps are quadratic.
constexpr size_t kMaxTomlBytes = size_t{1} << 20;
constexpr size_t kMaxTomlEntries = 1024;
/// Brackets within brackets, or names in a dotted key. toml11 recurses without a limit: 10 KB of '[' overflow
/// its stack.
constexpr size_t kMaxTomlDepth = 8;

/// Parses TOML (https://toml.io/en/v1.0.0) without multi-line strings, dates and times, which no setting
/// needs. Error invalid "FILE:LINE: …" for what is not TOML, a key given twice included. Thread-safe.
Document read_toml(std::string_view text, std::string_view file_name);

}  // namespace erofs_oci
