// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace erofs_oci {

/// A key and its value as they stand in a file or a message, before anybody asks what they mean.
struct Entry {
  std::string key;       ///< sections and name: "registry.ca"
  nlohmann::json value;  ///< an empty object for a section itself; its keys are entries of their own
  uint32_t line = 0;     ///< from 1; 0 where there are no lines
};

/// The entries of a TOML file or a JSON object in the order of their lines. Immutable once read.
struct Document {
  std::string name;  ///< the file, for messages
  std::vector<Entry> entries;

  bool has(std::string_view key) const;
  /// Error invalid "FILE:LINE: `sentence`", with the line of `key` where it has one.
  [[noreturn]] void refuse(std::string_view key, std::string_view sentence) const;
};

/// The key of `name` below `prefix` ("registry."): quoted where it holds more than letters, digits, '_' and
/// '-', so that a dot within a name is never taken for the end of a section.
std::string entry_key(std::string_view prefix, std::string_view name);

/// The entries of `object`, nested objects as sections; anything but an object is Error invalid.
Document flatten_json(const nlohmann::json& object, std::string_view name);

/// The inverse, for one entry: object["registry"]["ca"] = value.
void put_nested(nlohmann::json& object, std::string_view key, nlohmann::json value);

}  // namespace erofs_oci
