// SPDX-License-Identifier: Apache-2.0
#include "config/definition_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "config/definition_schema.h"
#include "config/toml_reader.h"

namespace erofs_oci {
namespace {

constexpr std::string_view kExtension = ".toml";
constexpr size_t kMaxNameBytes = 128;
constexpr std::string_view kAlnum = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
constexpr std::string_view kNameCharacters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:_.-";

/// "; did you mean 'tools'?", or the first names that there are.
std::string suggestion(std::string_view name, const std::vector<std::string>& existing) {
  const std::vector<std::string_view> names(existing.begin(), existing.end());
  if (const auto meant = nearest(name, names)) return fmt::format("; did you mean '{}'?", *meant);
  if (names.empty()) return "; there are no definitions yet";
  constexpr size_t kShown = 5;
  std::string text = "; there are ";
  for (size_t i = 0; i < std::min(names.size(), kShown); ++i)
    text.append(i == 0 ? "" : ", ").append(names[i]);
  return names.size() > kShown ? text + fmt::format(" and {} more", names.size() - kShown) : text;
}

}  // namespace

bool is_mount_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNameBytes &&
         kAlnum.find(name.front()) != std::string_view::npos &&
         name.find_first_not_of(kNameCharacters) == std::string_view::npos;
}

void check_mount_name(std::string_view name) {
  if (is_mount_name(name)) return;
  throw make_error(
      ErrorKind::invalid,
      "'{}' is not a valid name: a letter or digit, then letters, digits and :_.- up to {} characters",
      printable(name), kMaxNameBytes);
}

Definition parse_definition(std::string_view text, std::string_view file_name, std::string_view name) {
  with_context(file_name, [&] { check_mount_name(name); });
  const Document document = read_toml(text, file_name);
  Definition definition;
  definition.name = name;
  read_settings(definition_settings(), document, definition);
  check_definition(definition, document);
  return definition;
}

Definition load_definition(const std::filesystem::path& path) {
  if (path.extension() != kExtension) {
    throw make_error(ErrorKind::invalid, "{}: the file of a definition must be named NAME.toml",
                     path.native());
  }
  const UniqueFd file = open_file(path, O_RDONLY | O_NONBLOCK);  // a FIFO must not hold us up
  if (!S_ISREG(stat_fd(file.get(), path.native()).st_mode))
    throw make_error(ErrorKind::invalid, "{}: is no regular file", path.native());
  return parse_definition(read_text(file.get(), kMaxTomlBytes, path.native()), path.native(), path.stem().native());
}

std::filesystem::path find_definition(std::string_view name, const std::filesystem::path& directory) {
  check_mount_name(name);
  std::filesystem::path path = directory / fmt::format("{}{}", name, kExtension);
  std::error_code error;
  // What exists but cannot be examined is reported by whoever opens it.
  if (std::filesystem::status(path, error).type() != std::filesystem::file_type::not_found) return path;
  if (const auto target = std::filesystem::read_symlink(path, error); !error) {
    throw make_error(ErrorKind::not_found, "{} is a symbolic link to {}, which does not exist", path.native(),
                     target.native());
  }
  throw make_error(ErrorKind::not_found, "{} does not exist{}", path.native(),
                   suggestion(name, list_definitions(directory)));
}

std::vector<std::string> list_definitions(const std::filesystem::path& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::filesystem::path& path = entry->path();
    if (path.extension() == kExtension && is_mount_name(path.stem().native())) names.push_back(path.stem());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace erofs_oci
