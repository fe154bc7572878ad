// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/digest.h"
#include "registry/descriptor.h"
#include "registry/platform.h"

namespace erofs_oci::registry {

constexpr uint64_t kManifestLimit =
    4 * kMiB;  ///< distribution-spec, "Pushing Manifests": what registries must take
constexpr size_t kMaxLayers = 1000;
constexpr size_t kMaxIndexEntries = 10000;

/// An image (OCI image-spec, manifest.md; Docker's schema 2).
struct Manifest {
  std::string media_type;
  Descriptor config;
  std::vector<Descriptor> layers;  ///< lowest first
  std::map<std::string, std::string> annotations;
};

/// A list of images (OCI image-spec, image-index.md; Docker's manifest list).
struct Index {
  std::string media_type;
  std::vector<Descriptor> manifests;
};

/// The media types asked for, as the value of Accept.
std::string manifest_accept();

/// Whether a document is an index: by its mediaType, else by `content_type`, else by its fields. One that has
/// the fields of both is refused (CVE-2021-41190). `name` is for messages. Error unsupported: neither of the
/// two (Docker's schema 1, an artifact); corrupt: not JSON.
bool is_index(std::string_view json, std::string_view content_type, std::string_view name);

/// Error corrupt: `json` is not a manifest, or lies outside the limits above.
Manifest parse_manifest(std::string_view json, std::string_view name);
Index parse_index(std::string_view json, std::string_view name);

/// The entry of `index` for `platform`: an image, not an attestation, an artifact or an alternative for
/// another snapshotter; the best of those that the platform runs, then the first. Error not_found lists what
/// there is.
const Descriptor& select_platform(const Index& index, const Platform& platform);

/// The number of the layer that `which`, a decimal number or a digest, stands for. Error not_found says what
/// there is: "image X has 3 layers, 0 to 2; layer 7 was asked for".
size_t select_layer(const std::vector<Descriptor>& layers, std::string_view which, std::string_view name);

}  // namespace erofs_oci::registry
