// SPDX-License-Identifier: Apache-2.0
#include "config/document.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace erofs_oci {
namespace {

const Entry* find(const Document& document, std::string_view key) {
  const auto found = std::find_if(document.entries.begin(), document.entries.end(),
                                  [&](const Entry& entry) { return entry.key == key; });
  return found == document.entries.end() ? nullptr : &*found;
}

// Settings have one level of sections: deeper objects stay values, which no setting accepts.
void flatten(const nlohmann::json& object, const std::string& prefix, Document& into) {
  for (const auto& [name, value] : object.items()) {
    if (value.is_object() && prefix.empty()) {
      const std::string section = entry_key("", name);
      into.entries.push_back({section, nlohmann::json::object()});
      flatten(value, section + ".", into);
    } else {
      into.entries.push_back({entry_key(prefix, name), value});
    }
  }
}

}  // namespace

bool Document::has(std::string_view key) const {
  return find(*this, key) != nullptr;
}

void Document::refuse(std::string_view key, std::string_view sentence) const {
  const Entry* entry = find(*this, key);
  if (entry != nullptr && entry->line != 0) {
    throw make_error(ErrorKind::invalid, "{}:{}: {}", name, entry->line, sentence);
  }
  throw make_error(ErrorKind::invalid, "{}: {}", name, sentence);
}

std::string entry_key(std::string_view prefix, std::string_view name) {
  constexpr std::string_view kBare = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
  const bool bare = !name.empty() && name.find_first_not_of(kBare) == std::string_view::npos;
  return bare ? fmt::format("{}{}", prefix, name) : fmt::format("{}\"{}\"", prefix, printable(name));
}

Document flatten_json(const nlohmann::json& object, std::string_view name) {
  if (!object.is_object()) throw make_error(ErrorKind::invalid, "{}: must be a JSON object", name);
  Document document{std::string(name), {}};
  flatten(object, "", document);
  return document;
}

void put_nested(nlohmann::json& object, std::string_view key, nlohmann::json value) {
  const size_t dot = key.find('.');
  if (dot == std::string_view::npos) {
    object[std::string(key)] = std::move(value);
  } else {
    object[std::string(key.substr(0, dot))][std::string(key.substr(dot + 1))] = std::move(value);
  }
}

}  // namespace erofs_oci
