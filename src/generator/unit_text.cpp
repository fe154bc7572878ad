// SPDX-License-Identifier: Apache-2.0
#include "generator/unit_text.h"

#include <string_view>

#include "base/error.h"

namespace erofs_oci {
namespace {

/// systemd's VALID_CHARS of unit-name.c without '-' and '\', which stand for something else.
bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == ':' || c == '_' ||
         c == '.';
}

/// A '%' in a unit file begins a specifier.
std::string without_specifiers(std::string_view text) {
  std::string result;
  for (const char c : text) {
    result += c;
    if (c == '%') result += c;
  }
  return result;
}

}  // namespace

std::string path_unit_name(const std::filesystem::path& path, const std::string& suffix) {
  const std::string text = path.relative_path().native();
  if (text.empty()) return "-" + suffix;
  std::string name;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '/') {
      name += '-';
    } else if (is_plain(c) && !(c == '.' && i == 0)) {
      name += c;
    } else {
      name += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return name + suffix;
}

std::string unit_word(const std::filesystem::path& path) {
  std::string result = "\"";
  for (const char c : without_specifiers(path.native())) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + '"';
}

std::string unit_path(const std::filesystem::path& path) {
  const std::string& text = path.native();
  if (text.ends_with(' ') || text.ends_with('\\')) {
    throw make_error(ErrorKind::unsupported,
                     "a unit cannot have a path that ends in a blank or a backslash: '{}'", text);
  }
  return without_specifiers(text);
}

}  // namespace erofs_oci
