// SPDX-License-Identifier: Apache-2.0
#include "registry/manifest.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"

namespace erofs_oci::registry {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kOciManifest = "application/vnd.oci.image.manifest.v1+json";
constexpr std::string_view kOciIndex = "application/vnd.oci.image.index.v1+json";
constexpr std::string_view kDockerManifest = "application/vnd.docker.distribution.manifest.v2+json";
constexpr std::string_view kDockerList = "application/vnd.docker.distribution.manifest.list.v2+json";

// nlohmann's exceptions (syntax, a missing key, a value of another type) become Error corrupt.
template <typename Body>
auto with_json_errors(std::string_view name, Body&& body) {
  try {
    return body();
  } catch (const Json::exception& error) {
    throw make_error(ErrorKind::corrupt, "{}: {}", name, printable(error.what()));
  } catch (const Error& error) {
    throw error.within(name);
  }
}

constexpr size_t kShownOfText = 40;

Json parse_object(std::string_view text) {
  if (text.size() > kManifestLimit) {
    throw make_error(ErrorKind::corrupt, "longer than {}", human_size(kManifestLimit));
  }
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded())
    throw make_error(ErrorKind::corrupt, "is not JSON: it begins with '{}'; is this a registry?",
                     printable(text.substr(0, kShownOfText)));
  if (!json.is_object()) throw Error(ErrorKind::corrupt, "not a JSON object");
  return json;
}

uint64_t size_of(const Json& json) {
  constexpr uint64_t kLargest = std::numeric_limits<int64_t>::max();
  const Json& size = json.at("size");
  if (!size.is_number_unsigned() || size.get<uint64_t>() > kLargest) {
    throw make_error(ErrorKind::corrupt, "{} is no size", printable(size.dump(-1, ' ', true)));
  }
  return size.get<uint64_t>();
}

Digest digest_of(const Json& json) {
  const auto& text = json.at("digest").get_ref<const std::string&>();
  const auto digest = Digest::try_parse(text);
  if (!digest) throw make_error(ErrorKind::corrupt, "\"{}\" is no SHA-256 digest", printable(text));
  return *digest;
}

// An optional member; null counts as absent, as Go's encoders write it.
template <typename T>
T member_or_default(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found == json.end() || found->is_null() ? T{} : found->get<T>();
}

Descriptor descriptor_of(const Json& json) {
  Descriptor out;
  out.media_type = member_or_default<std::string>(json, "mediaType");
  out.digest = digest_of(json);
  out.size_bytes = size_of(json);
  out.urls = member_or_default<std::vector<std::string>>(json, "urls");
  out.annotations = member_or_default<std::map<std::string, std::string>>(json, "annotations");
  out.artifact_type = member_or_default<std::string>(json, "artifactType");
  if (const auto found = json.find("platform"); found != json.end() && !found->is_null()) {
    out.platform = Platform{found->at("os").get<std::string>(), found->at("architecture").get<std::string>(),
                            member_or_default<std::string>(*found, "variant")}
                       .normalized();
    out.os_features = member_or_default<std::vector<std::string>>(*found, "os.features");
  }
  return out;
}

std::vector<Descriptor> descriptors_of(const Json& array, size_t limit, const char* what) {
  if (!array.is_array()) throw make_error(ErrorKind::corrupt, "{} is not an array", what);
  if (array.size() > limit) {
    throw make_error(ErrorKind::corrupt, "{} has {} entries; at most {} are taken", what, array.size(),
                     limit);
  }
  std::vector<Descriptor> out;
  for (const Json& entry : array) out.push_back(descriptor_of(entry));
  return out;
}

bool is_index_document(const Json& json, std::string_view content_type) {
  if (json.contains("manifests") && (json.contains("layers") || json.contains("config"))) {
    throw Error(ErrorKind::corrupt, "has the fields of an index and those of a manifest");
  }
  const std::string own = member_or_default<std::string>(json, "mediaType");
  for (const std::string_view type :
       {std::string_view(own), content_type.substr(0, content_type.find(';'))}) {
    if (type == kOciIndex || type == kDockerList) return true;
    if (type == kOciManifest || type == kDockerManifest) return false;
  }
  if (json.contains("manifests")) return true;
  if (json.contains("layers")) return false;
  throw make_error(ErrorKind::unsupported, "neither an image manifest nor an index, but \"{}\"",
                   printable(own.empty() ? content_type : own));
}

// Images only: not attestations (BuildKit), artifacts and SOCI v2 indexes, or images for nydus only.
bool is_image(const Descriptor& entry) {
  if (!entry.artifact_type.empty() || !entry.platform ||
      entry.annotations.contains("vnd.docker.reference.type")) {
    return false;
  }
  if (entry.platform->os == "unknown" || entry.platform->architecture == "unknown") return false;
  for (const std::string& feature : entry.os_features) {
    if (feature.starts_with("nydus.")) return false;
  }
  return true;
}

std::string platforms_of(const Index& index) {
  std::string list;
  for (const Descriptor& entry : index.manifests) {
    if (is_image(entry)) list += (list.empty() ? "" : ", ") + to_string(*entry.platform);
  }
  return list.empty() ? "no image at all" : list;
}

}  // namespace

std::string manifest_accept() {
  return fmt::format("{}, {}, {}, {}", kOciIndex, kDockerList, kOciManifest, kDockerManifest);
}

bool is_index(std::string_view json, std::string_view content_type, std::string_view name) {
  return with_json_errors(name, [&] { return is_index_document(parse_object(json), content_type); });
}

Manifest parse_manifest(std::string_view text, std::string_view name) {
  return with_json_errors(name, [&] {
    const Json json = parse_object(text);
    Manifest manifest;
    manifest.media_type = member_or_default<std::string>(json, "mediaType");
    manifest.config = descriptor_of(json.at("config"));
    manifest.layers = descriptors_of(json.at("layers"), kMaxLayers, "layers");
    manifest.annotations = member_or_default<std::map<std::string, std::string>>(json, "annotations");
    return manifest;
  });
}

Index parse_index(std::string_view text, std::string_view name) {
  return with_json_errors(name, [&] {
    const Json json = parse_object(text);
    return Index{member_or_default<std::string>(json, "mediaType"),
                 descriptors_of(json.at("manifests"), kMaxIndexEntries, "manifests")};
  });
}

const Descriptor& select_platform(const Index& index, const Platform& platform) {
  for (const Platform& candidate : platform.runs()) {
    for (const Descriptor& entry : index.manifests) {
      if (is_image(entry) && *entry.platform == candidate) return entry;
    }
  }
  throw make_error(ErrorKind::not_found, "it has no manifest for {}; it has: {}", to_string(platform),
                   platforms_of(index));
}

size_t select_layer(const std::vector<Descriptor>& layers, std::string_view which, std::string_view name) {
  const size_t count = layers.size();
  if (const auto number = parse_u64(which)) {
    if (*number < count) return *number;
    if (count == 0) throw make_error(ErrorKind::not_found, "image {} has no layers", name);
    if (count == 1)
      throw make_error(ErrorKind::not_found,
                       "image {} has one layer, which is number 0; layer {} was asked for", name, *number);
    throw make_error(ErrorKind::not_found, "image {} has {} layers, 0 to {}; layer {} was asked for", name,
                     count, count - 1, *number);
  }
  const Digest digest = Digest::parse(which);
  for (size_t i = 0; i < count; ++i) {
    if (layers[i].digest == digest) return i;
  }
  throw make_error(ErrorKind::not_found, "image {} has no layer {}", name, to_string(digest));
}

}  // namespace erofs_oci::registry
