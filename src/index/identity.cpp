// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "index/image_index.h"
#include "index/index_format.h"

namespace erofs_oci {
namespace {

using nlohmann::json;

StreamFormat format_from_string(const std::string& name) {
  for (const auto format : {StreamFormat::plain, StreamFormat::gzip, StreamFormat::zstd}) {
    if (to_string(format) == name) return format;
  }
  throw make_error(ErrorKind::corrupt, "unknown format '{}'", name);
}

json layer_to_json(const IndexedLayer& layer) {
  return {{"digest", to_string(layer.digest)},
          {"diff_id", to_string(layer.diff_id)},
          {"size", layer.blob_size},
          {"stream_size", layer.stream_size},
          {"format", to_string(layer.format)}};
}

/// The library itself would turn -1 and 1.5 into what fits.
uint64_t number_at(const json& object, const char* key, uint64_t most) {
  const json& value = object.at(key);
  if (!value.is_number_unsigned() || value.get<uint64_t>() > most)
    throw make_error(ErrorKind::corrupt, "its '{}' is no number that can be right", key);
  return value.get<uint64_t>();
}

Digest digest_at(const json& object, const char* key) {
  if (auto digest = Digest::try_parse(object.at(key).get<std::string>())) return *digest;
  throw make_error(ErrorKind::corrupt, "its '{}' is no digest", key);
}

IndexedLayer layer_from_json(const json& object) {
  return {.digest = digest_at(object, "digest"),
          .diff_id = digest_at(object, "diff_id"),
          .blob_size = number_at(object, "size", INT64_MAX),
          .stream_size = number_at(object, "stream_size", INT64_MAX),
          .format = format_from_string(object.at("format").get<std::string>())};
}

}  // namespace

std::string identity_to_json(const IndexIdentity& identity) {
  json object = {{"tool", identity.tool}, {"span_size", identity.span_size}, {"layers", json::array()}};
  if (identity.manifest) object["manifest"] = to_string(*identity.manifest);
  if (!identity.platform.empty()) object["platform"] = identity.platform;
  if (identity.layer) object["layer"] = *identity.layer;
  for (const IndexedLayer& layer : identity.layers) object["layers"].push_back(layer_to_json(layer));
  return object.dump();
}

IndexIdentity identity_from_json(std::string_view text) {
  try {
    const json object = json::parse(text);
    IndexIdentity identity;
    identity.tool = object.at("tool").get<std::string>();
    identity.span_size = number_at(object, "span_size", INT64_MAX);
    if (object.contains("manifest")) identity.manifest = digest_at(object, "manifest");
    identity.platform = object.value("platform", "");
    if (object.contains("layer"))
      identity.layer = static_cast<uint32_t>(number_at(object, "layer", UINT32_MAX));
    for (const json& layer : object.at("layers")) identity.layers.push_back(layer_from_json(layer));
    return identity;
  } catch (const json::exception& error) {
    throw make_error(ErrorKind::corrupt, "its identity cannot be read: {}", error.what());
  }
}

}  // namespace erofs_oci
