// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/definition_json.h"
#include "control/fields.h"
#include "control/messages.h"

// How the types that messages and state files share are written.
namespace erofs_oci {

template <>
struct EnumNames<TransportKind> {
  static constexpr std::array<std::string_view, 3> kNames{"nbd", "fuse", "export"};
};
template <>
struct EnumNames<Health> {
  static constexpr std::array<std::string_view, 4> kNames{"opening", "serving", "waiting", "failed"};
};

template <>
struct EnumNames<EventKind> {
  static constexpr std::array<std::string_view, 7> kNames{
      "served", "closed", "source_away", "source_back", "read_failed", "corrupt", "connection_lost"};
};

template <>
struct EnumNames<IndexFormat> {
  static constexpr std::array<std::string_view, 2> kNames{"image", "tarindex"};
};

template <>
struct EnumNames<Integrity> {
  static constexpr std::array<std::string_view, 3> kNames{"verified", "unverified", "local"};
};
template <>
struct EnumNames<CacheState> {
  static constexpr std::array<std::string_view, 3> kNames{"metadata", "partial", "complete"};
};
template <>
struct EnumNames<AccessHow> {
  static constexpr std::array<std::string_view, 6> kNames{"memory", "disk",       "fetched",
                                                          "failed", "read_ahead", "prefetch"};
};
template <>
struct EnumNames<LayerAccess> {
  static constexpr std::array<std::string_view, 6> kNames{"anywhere", "with_index", "at_frames",
                                                          "whole",    "as_it_is",   "no"};
};

template <>
inline nlohmann::json encode(const Definition& value) {
  return to_json(value);
}
template <>
inline Definition decode(const nlohmann::json& value) {
  return definition_from_json(value);
}

}  // namespace erofs_oci
