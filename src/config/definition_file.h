// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

#include "config/definition.h"

namespace erofs_oci {

constexpr const char* kDefinitionDirectory = "/etc/erofs-oci";

/// [A-Za-z0-9][A-Za-z0-9:_.-]*, at most 128 characters: safe as file name, unit instance and backend
/// identifier.
bool is_mount_name(std::string_view name);
/// Error invalid unless is_mount_name().
void check_mount_name(std::string_view name);

/// Parses the definition `name` from TOML; `file_name` is for messages. Everything that is wrong is Error
/// invalid "FILE:LINE: what, and what to do": an unknown key (with the nearest known one), a wrong type, a
/// missing key, a value out of bounds, keys that do not go together. Opens none of the files that it names.
Definition parse_definition(std::string_view text, std::string_view file_name, std::string_view name);

/// parse_definition() of a file NAME.toml of at most kMaxTomlBytes. Error not_found where it is absent.
Definition load_definition(const std::filesystem::path& path);

/// `directory`/NAME.toml, which exists; Error not_found suggests names that do.
std::filesystem::path find_definition(std::string_view name,
                                      const std::filesystem::path& directory = kDefinitionDirectory);

/// The names that have a file in `directory`, sorted; none where there is no such directory.
std::vector<std::string> list_definitions(const std::filesystem::path& directory = kDefinitionDirectory);

}  // namespace erofs_oci
