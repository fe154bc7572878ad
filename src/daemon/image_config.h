// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/digest.h"
#include "config/definition.h"
#include "registry/platform.h"

namespace erofs_oci {

/// What an image says of itself (OCI image-spec, config.md). An artifact's configuration may be of another
/// kind, or empty, and then says nothing. Immutable, thread-safe.
class ImageConfig {
 public:
  explicit ImageConfig(const std::string& text) : json_(nlohmann::json::parse(text, nullptr, false)) {}

  /// In the form of RFC 3339, made printable; "" where it does not say.
  std::string created() const { return member("created"); }
  /// Nullopt where it does not say, or says what is none.
  std::optional<registry::Platform> platform() const;
  /// Digests of the layers' streams, one a layer; empty where it does not say. Error corrupt, which names the
  /// image `name`, where there are others than `layers` of them, or what is no digest.
  std::vector<Digest> diff_ids(size_t layers, const std::string& name) const;

 private:
  std::string member(const char* name) const;

  const nlohmann::json json_;
};

/// Error not_found where the definition asks for a platform, and the image, which no index was chosen from,
/// says that it is of another.
void check_platform(const Definition& definition, const ImageConfig& config);

}  // namespace erofs_oci
