// SPDX-License-Identifier: Apache-2.0
#include "config/setting.h"

#include <algorithm>
#include <optional>

#include "base/text.h"

namespace erofs_oci {
namespace {

std::string_view section_of(std::string_view key) {
  const size_t dot = key.find('.');
  return dot == std::string_view::npos ? std::string_view() : key.substr(0, dot);
}

std::string_view last_name(std::string_view key) {
  return key.substr(key.rfind('.') + 1);
}

std::vector<std::string_view> sections_of(std::span<const std::string_view> keys) {
  std::vector<std::string_view> sections;
  for (const std::string_view key : keys) {
    const std::string_view section = section_of(key);
    if (!section.empty() && std::find(sections.begin(), sections.end(), section) == sections.end()) {
      sections.push_back(section);
    }
  }
  return sections;
}

/// A key that goes by the same name in another place, else the one that is spelt most alike.
std::optional<std::string> suggestion(std::string_view unknown, std::span<const std::string_view> keys) {
  for (const std::string_view key : keys) {
    if (last_name(key) != last_name(unknown)) continue;
    const std::string_view section = section_of(key);
    return section.empty() ? fmt::format("'{}', above all [sections]", key)
                           : fmt::format("'{}' in section [{}]", last_name(key), section);
  }
  if (const auto key = nearest(unknown, keys)) return fmt::format("'{}'", *key);
  return std::nullopt;
}

[[noreturn]] void refuse_unknown(const Document& document, const Entry& entry, std::string_view what,
                                 const std::optional<std::string>& meant) {
  document.refuse(entry.key, fmt::format("unknown {}{}", what,
                                         meant ? fmt::format("; did you mean {}?", *meant) : std::string()));
}

}  // namespace

bool is_section(const Entry& entry, std::span<const std::string_view> keys) {
  if (!entry.value.is_object()) return false;
  const std::vector<std::string_view> sections = sections_of(keys);
  return std::find(sections.begin(), sections.end(), entry.key) != sections.end();
}

void refuse_unknown_key(const Document& document, const Entry& entry,
                        std::span<const std::string_view> keys) {
  const std::vector<std::string_view> sections = sections_of(keys);
  if (std::find(sections.begin(), sections.end(), entry.key) != sections.end()) {
    document.refuse(entry.key,
                    fmt::format("'{0}' is a section: write [{0}] and its keys below it", entry.key));
  }
  if (entry.value.is_object()) {
    std::optional<std::string> meant;
    if (const auto section = nearest(entry.key, sections)) meant = fmt::format("[{}]", *section);
    refuse_unknown(document, entry, fmt::format("section [{}]", entry.key), meant);
  }
  refuse_unknown(document, entry, fmt::format("key '{}'", entry.key), suggestion(entry.key, keys));
}

}  // namespace erofs_oci
