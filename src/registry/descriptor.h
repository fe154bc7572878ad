// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "registry/platform.h"

namespace erofs_oci::registry {

enum class LayerFormat { tar, tar_gzip, tar_zstd, erofs, unknown };

/// What a layer of this media type is: OCI and Docker spelling, nondistributable ones too, and EROFS blobs
/// (types that end in ".erofs", application/vnd.erofs.layer.v1).
LayerFormat layer_format(std::string_view media_type);
std::string_view to_string(LayerFormat format);

/// A pointer to content (OCI image-spec, descriptor.md).
struct Descriptor {
  std::string media_type;
  Digest digest;
  uint64_t size_bytes = 0;  ///< less than 2^63
  std::vector<std::string> urls;
  std::map<std::string, std::string> annotations;
  std::optional<Platform> platform;
  std::vector<std::string> os_features;
  std::string artifact_type;

  LayerFormat format() const { return layer_format(media_type); }
};

/// Content must have the size and the SHA-256 that `descriptor` states; Error corrupt otherwise, naming
/// `what`.
void verify(const Descriptor& descriptor, std::string_view content, std::string_view what);

}  // namespace erofs_oci::registry
