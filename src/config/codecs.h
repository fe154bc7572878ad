// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace erofs_oci {

/// Between a value in a file or message and a value in a struct. Each codec has
///     std::string type();                 for people and the man page
///     V read(const nlohmann::json&);      Error invalid "must be …", the end of a sentence that the key
///     begins nlohmann::json write(const V&);     what read() takes back
/// Messages name the type that was found, never the value: it may be a secret in the wrong place.

/// Throws that `value` should have been `expected` ("a string").
[[noreturn]] void refuse_type(const nlohmann::json& value, std::string_view expected);

/// A string of at most 4 KiB without control characters.
std::string read_string(const nlohmann::json& value);

uint64_t read_number(const nlohmann::json& value, uint64_t min, uint64_t max);
std::chrono::milliseconds read_duration(const nlohmann::json& value, std::chrono::seconds min,
                                        std::chrono::seconds max);
nlohmann::json write_duration(std::chrono::milliseconds value);
uint64_t read_size(const nlohmann::json& value, uint64_t min, uint64_t max);
/// The position of `value` in `names`, with the nearest name in the message where it is none of them.
size_t read_choice(const nlohmann::json& value, std::span<const std::string_view> names);

struct BooleanCodec {
  static std::string type() { return "true | false"; }
  static bool read(const nlohmann::json& value);
  static nlohmann::json write(bool value) { return value; }
};

/// A string that `Rule` accepts, perhaps in a normal form; `Rule` throws Error invalid "must …" for others.
template <std::string (*Rule)(std::string), typename V = std::string>
struct TextCodec {
  static std::string type() { return std::is_same_v<V, std::string> ? "string" : "path"; }
  static V read(const nlohmann::json& value) { return Rule(read_string(value)); }
  static nlohmann::json write(const V& value) { return std::string(value); }
};

/// A whole number from Min to Max.
template <uint32_t Min, uint32_t Max>
struct NumberCodec {
  static std::string type() { return "number"; }
  static uint32_t read(const nlohmann::json& value) {
    return static_cast<uint32_t>(read_number(value, Min, Max));
  }
  static nlohmann::json write(uint32_t value) { return value; }
};

/// "90s", "5m", or seconds; from Min to Max seconds.
template <uint64_t Min, uint64_t Max>
struct DurationCodec {
  static std::string type() { return "duration"; }
  static std::chrono::milliseconds read(const nlohmann::json& value) {
    return read_duration(value, std::chrono::seconds(Min), std::chrono::seconds(Max));
  }
  static nlohmann::json write(std::chrono::milliseconds value) { return write_duration(value); }
};

/// "64MiB", or bytes; from Min to Max bytes.
template <uint64_t Min, uint64_t Max>
struct SizeCodec {
  static std::string type() { return "size"; }
  static uint64_t read(const nlohmann::json& value) { return read_size(value, Min, Max); }
  static nlohmann::json write(uint64_t value) { return value; }
};

/// One of the names in Names::kNames, an array whose positions are the numbers of the enumerators.
template <typename Names>
struct ChoiceCodec {
  using Enum = typename Names::Enum;
  static std::string type() {
    std::string text;
    for (const std::string_view name : Names::kNames) text.append(text.empty() ? "" : " | ").append(name);
    return text;
  }
  static Enum read(const nlohmann::json& value) {
    return static_cast<Enum>(read_choice(value, Names::kNames));
  }
  static nlohmann::json write(Enum value) { return Names::kNames.at(static_cast<size_t>(value)); }
};

}  // namespace erofs_oci
