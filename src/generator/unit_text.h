// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

namespace erofs_oci {

/// The name of the unit for `path`, absolute and normalised, as systemd-escape(1) --path makes it:
/// "/srv/my-tools" and ".mount" give "srv-my\x2dtools.mount".
std::string path_unit_name(const std::filesystem::path& path, const std::string& suffix);

/// `path` as a word of a setting that takes several (systemd.syntax(7)): quoted, without specifiers.
std::string unit_word(const std::filesystem::path& path);

/// `path` for a setting that takes one path as it is. Error unsupported where a unit file cannot say it:
/// blanks at its ends, or a backslash at its end.
std::string unit_path(const std::filesystem::path& path);

}  // namespace erofs_oci
