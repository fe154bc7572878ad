// SPDX-License-Identifier: Apache-2.0
#include "config/codecs.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace erofs_oci {
namespace {

constexpr size_t kMaxStringBytes = 4096;

std::string_view type_name(const nlohmann::json& value) {
  if (value.is_boolean()) return "true or false";
  if (value.is_number_float()) return "a number with a fraction";
  if (value.is_number()) return "a number";
  if (value.is_string()) return "a string";
  if (value.is_array()) return "an array";
  return value.is_object() ? "a table" : "null";
}

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

std::string join(std::span<const std::string_view> names) {
  std::string text;
  for (const std::string_view name : names) text += fmt::format("{}\"{}\"", text.empty() ? "" : ", ", name);
  return text;
}

/// A duration for people that parse_duration reads: "90s", "1500ms".
std::string duration_text(std::chrono::milliseconds value) {
  return value.count() % 1000 == 0 ? fmt::format("{}s", value.count() / 1000)
                                   : fmt::format("{}ms", value.count());
}

}  // namespace

void refuse_type(const nlohmann::json& value, std::string_view expected) {
  throw make_error(ErrorKind::invalid, "must be {}, not {}", expected, type_name(value));
}

std::string read_string(const nlohmann::json& value) {
  if (!value.is_string()) refuse_type(value, "a string");
  const auto& text = value.get_ref<const std::string&>();
  if (text.size() > kMaxStringBytes) {
    throw make_error(ErrorKind::invalid, "must not be longer than {} bytes", kMaxStringBytes);
  }
  if (std::any_of(text.begin(), text.end(), is_control)) {
    throw Error(ErrorKind::invalid, "must not contain control characters");
  }
  return text;
}

uint64_t read_number(const nlohmann::json& value, uint64_t min, uint64_t max) {
  if (!value.is_number_integer()) refuse_type(value, fmt::format("a whole number from {} to {}", min, max));
  const bool negative = !value.is_number_unsigned() && value.get<int64_t>() < 0;
  const auto number = value.get<uint64_t>();
  if (negative || number < min || number > max) {
    throw make_error(ErrorKind::invalid, "must be a whole number from {} to {}", min, max);
  }
  return number;
}

std::chrono::milliseconds read_duration(const nlohmann::json& value, std::chrono::seconds min,
                                        std::chrono::seconds max) {
  constexpr std::string_view kExpected = "a duration such as \"90s\", \"5m\" or a number of seconds";
  if (!value.is_string() && !value.is_number()) refuse_type(value, kExpected);
  const auto duration = parse_duration(value.is_string() ? read_string(value) : value.dump());
  if (!duration) throw make_error(ErrorKind::invalid, "must be {}", kExpected);
  if (*duration < min || *duration > max) {
    throw make_error(ErrorKind::invalid, "must be from {} to {}", duration_text(min), duration_text(max));
  }
  return *duration;
}

nlohmann::json write_duration(std::chrono::milliseconds value) {
  return duration_text(value);
}

uint64_t read_size(const nlohmann::json& value, uint64_t min, uint64_t max) {
  constexpr std::string_view kExpected = "a size such as \"64MiB\" or a number of bytes";
  if (!value.is_string() && !value.is_number_integer()) refuse_type(value, kExpected);
  const auto size = parse_size(value.is_string() ? read_string(value) : value.dump());
  if (!size) throw make_error(ErrorKind::invalid, "must be {}", kExpected);
  if (*size < min || *size > max) {
    throw make_error(ErrorKind::invalid, "must be from {} to {}", human_size(min), human_size(max));
  }
  return *size;
}

size_t read_choice(const nlohmann::json& value, std::span<const std::string_view> names) {
  if (!value.is_string()) refuse_type(value, "one of " + join(names));
  const std::string text = read_string(value);
  const auto found = std::find(names.begin(), names.end(), text);
  if (found != names.end()) return static_cast<size_t>(found - names.begin());
  if (const auto meant = nearest(text, names)) {
    throw make_error(ErrorKind::invalid, "must be one of {}; did you mean \"{}\"?", join(names), *meant);
  }
  throw make_error(ErrorKind::invalid, "must be one of {}", join(names));
}

bool BooleanCodec::read(const nlohmann::json& value) {
  if (!value.is_boolean()) refuse_type(value, "true or false");
  return value.get<bool>();
}

}  // namespace erofs_oci
