// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "base/error.h"
#include "base/text.h"
#include "config/codecs.h"

namespace erofs_oci {

/// The members of a message, listed once for both directions: a specialisation has
///     static void visit(auto& io, auto& message) { io("name", message.name); … }
/// where io is a FieldWriter or a FieldReader.
template <typename T>
struct Fields;

/// The names of an enum, in the order of its enumerators: a specialisation has kNames.
template <typename T>
struct EnumNames;

template <typename T>
nlohmann::json encode(const T& value);
template <typename T>
T decode(const nlohmann::json& value);

namespace fields_detail {
template <typename T>
struct ElementOf {};
template <typename E>
struct ElementOf<std::optional<E>> {
  using type = E;
  static constexpr bool kOptional = true;
};
template <typename E>
struct ElementOf<std::vector<E>> {
  using type = E;
  static constexpr bool kOptional = false;
};
template <typename T>
concept Optional = ElementOf<T>::kOptional;
template <typename T>
concept List = !ElementOf<T>::kOptional;
template <typename T>
constexpr bool kIsMap = false;
template <typename E>
constexpr bool kIsMap<std::map<std::string, E>> = true;
template <typename T>
concept Map = kIsMap<T>;
}  // namespace fields_detail

/// Collects the members of a message into an object; empty optionals and maps are left out.
class FieldWriter {
 public:
  template <typename T>
  void operator()(const char* name, const T& value) {
    if constexpr (fields_detail::Optional<T>) {
      if (value) object_[name] = encode(*value);
    } else if constexpr (fields_detail::Map<T>) {
      if (!value.empty()) object_[name] = encode(value);
    } else {
      object_[name] = encode(value);
    }
  }
  nlohmann::json take() { return std::move(object_); }

 private:
  nlohmann::json object_ = nlohmann::json::object();
};

/// Sets the members of a message from an object; Error invalid where one is missing, wrong or not known.
class FieldReader {
 public:
  explicit FieldReader(const nlohmann::json& object) : object_(object) {
    if (!object.is_object()) refuse_type(object, "an object");
  }

  template <typename T>
  void operator()(const char* name, T& value) {
    known_.push_back(name);
    const auto found = object_.find(name);
    const bool absent = found == object_.end() || found->is_null();
    try {
      if constexpr (fields_detail::Optional<T>) {
        if (!absent) value = decode<typename fields_detail::ElementOf<T>::type>(*found);
      } else if constexpr (fields_detail::Map<T>) {
        if (!absent) value = decode<T>(*found);
      } else {
        if (absent) throw Error(ErrorKind::invalid, "is missing");
        value = decode<T>(*found);
      }
    } catch (const Error& error) {
      throw make_error(error.kind(), "'{}' {}", name, error.what());
    }
  }

  void finish() const {
    for (const auto& [name, value] : object_.items()) {
      if (std::find(known_.begin(), known_.end(), name) == known_.end()) {
        throw make_error(ErrorKind::invalid, "'{}' is not known", printable(name, 40));
      }
    }
  }

 private:
  const nlohmann::json& object_;
  std::vector<std::string_view> known_;
};

template <typename T>
nlohmann::json encode(const T& value) {
  if constexpr (std::is_enum_v<T>) {
    return EnumNames<T>::kNames.at(static_cast<size_t>(value));
  } else if constexpr (fields_detail::List<T>) {
    nlohmann::json list = nlohmann::json::array();
    for (const auto& element : value) list.push_back(encode(element));
    return list;
  } else if constexpr (fields_detail::Map<T>) {
    nlohmann::json object = nlohmann::json::object();
    for (const auto& [key, element] : value) object[key] = encode(element);
    return object;
  } else if constexpr (std::is_same_v<T, Digest>) {
    return to_string(value);
  } else if constexpr (std::is_same_v<T, std::string> || std::is_integral_v<T>) {
    return value;
  } else {
    FieldWriter writer;
    Fields<T>::visit(writer, value);
    return writer.take();
  }
}

template <typename T>
T decode(const nlohmann::json& value) {
  if constexpr (std::is_enum_v<T>) {
    return static_cast<T>(read_choice(value, EnumNames<T>::kNames));
  } else if constexpr (fields_detail::List<T>) {
    if (!value.is_array()) refuse_type(value, "an array");
    T list;
    for (const auto& element : value)
      list.push_back(decode<typename fields_detail::ElementOf<T>::type>(element));
    return list;
  } else if constexpr (fields_detail::Map<T>) {
    if (!value.is_object()) refuse_type(value, "an object");
    T map;
    for (const auto& [key, element] : value.items()) {
      map.emplace(key, decode<typename T::mapped_type>(element));
    }
    return map;
  } else if constexpr (std::is_same_v<T, Digest>) {
    const auto digest = Digest::try_parse(read_string(value));
    if (!digest) throw Error(ErrorKind::invalid, "must be sha256: and 64 hex digits");
    return *digest;
  } else if constexpr (std::is_same_v<T, std::string>) {
    return read_string(value);
  } else if constexpr (std::is_same_v<T, bool>) {
    return BooleanCodec::read(value);
  } else if constexpr (std::is_integral_v<T>) {
    // Varlink's int has 64 bits and a sign.
    constexpr uint64_t kMax = std::min<uint64_t>(std::numeric_limits<T>::max(), INT64_MAX);
    return static_cast<T>(read_number(value, 0, kMax));
  } else {
    T message;
    FieldReader reader(value);
    Fields<T>::visit(reader, message);
    reader.finish();
    return message;
  }
}

}  // namespace erofs_oci
