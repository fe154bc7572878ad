// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/error.h"
#include "config/document.h"

namespace erofs_oci {

/// One key of a settings file: a row of the table from which parsing, suggestions, JSON and the test of the
/// man page all follow. `T` is the struct that holds the values.
template <typename T>
struct Setting {
  std::string_view key;           ///< with its section: "registry.ca"
  std::string type;               ///< for people: "duration", "auto | nbd | fuse"
  std::string_view default_text;  ///< as the man page gives it; "required" where there is none
  std::string_view doc;           ///< one line
  /// Error invalid whose sentence goes on after the key: "must be true or false, not a string".
  void (*read)(const nlohmann::json& value, T& into);
  nlohmann::json (*write)(const T& from);  ///< null where nothing is set
};

namespace setting_detail {

template <typename V>
struct Bare {
  using type = V;
};
template <typename V>
struct Bare<std::optional<V>> {
  using type = V;
};

/// settings.*first.*second…
template <auto First, auto... Rest>
auto& field(auto& object) {
  if constexpr (sizeof...(Rest) == 0) {
    return object.*First;
  } else {
    return field<Rest...>(object.*First);
  }
}

}  // namespace setting_detail

/// The Setting that keeps `key` in the field reached by `Path...` (pointers to members), plain or
/// std::optional, through `Codec`: a struct with type(), read(json) and write(value), as in codecs.h.
template <typename T, typename Codec, auto... Path>
Setting<T> setting(std::string_view key, std::string_view default_text, std::string_view doc) {
  using setting_detail::field;
  return {key,
          Codec::type(),
          default_text,
          doc,
          [](const nlohmann::json& value, T& into) { field<Path...>(into) = Codec::read(value); },
          [](const T& from) -> nlohmann::json {
            const auto& value = field<Path...>(from);
            using Field = std::remove_cvref_t<decltype(value)>;
            if constexpr (std::is_same_v<Field, typename setting_detail::Bare<Field>::type>) {
              return Codec::write(value);
            } else {
              return value ? Codec::write(*value) : nlohmann::json();
            }
          }};
}

/// Error invalid for a key of `document` that is none of `keys`, with the nearest of them.
[[noreturn]] void refuse_unknown_key(const Document& document, const Entry& entry,
                                     std::span<const std::string_view> keys);

/// Whether `entry` is the head of a section that some of `keys` belong to.
bool is_section(const Entry& entry, std::span<const std::string_view> keys);

template <typename T>
std::vector<std::string_view> keys_of(std::span<const Setting<T>> settings) {
  std::vector<std::string_view> keys;
  for (const Setting<T>& setting : settings) keys.push_back(setting.key);
  return keys;
}

/// Sets in `into` what `document` gives; an unknown key or a bad value is Error invalid with its place.
template <typename T>
void read_settings(std::span<const Setting<T>> settings, const Document& document, T& into) {
  const std::vector<std::string_view> keys = keys_of(settings);
  for (const Entry& entry : document.entries) {
    if (is_section(entry, keys)) continue;
    const auto found = std::find(keys.begin(), keys.end(), entry.key);
    if (found == keys.end()) refuse_unknown_key(document, entry, keys);
    try {
      settings[static_cast<size_t>(found - keys.begin())].read(entry.value, into);
    } catch (const Error& error) {
      document.refuse(entry.key, fmt::format("'{}' {}", entry.key, error.what()));
    }
  }
}

/// A JSON object that read_settings reads back to the same values; what is not set is left out.
template <typename T>
nlohmann::json write_settings(std::span<const Setting<T>> settings, const T& from) {
  nlohmann::json object = nlohmann::json::object();
  for (const Setting<T>& setting : settings) {
    nlohmann::json value = setting.write(from);
    if (!value.is_null()) put_nested(object, setting.key, std::move(value));
  }
  return object;
}

}  // namespace erofs_oci
