// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "base/digest.h"
#include "base/file.h"
#include "daemon/open_input.h"

namespace erofs_oci::testing {

/// An OCI image layout in a folder, put together blob by blob.
class Layout {
 public:
  using json = nlohmann::json;

  explicit Layout(std::filesystem::path root) : root_(std::move(root)) {
    std::filesystem::create_directories(root_ / "blobs/sha256");
  }

  const std::filesystem::path& root() const { return root_; }
  std::filesystem::path path_of(const json& descriptor) const {
    return root_ / ("blobs/sha256/" + descriptor["digest"].get<std::string>().substr(7));
  }

  /// Stores a blob; its descriptor.
  json put(const std::string& data, const std::string& media_type) const {
    const Digest digest = sha256(as_bytes(data));
    write_file_durably(root_ / ("blobs/sha256/" + digest.hex()), data, 0644);
    return {{"mediaType", media_type}, {"digest", to_string(digest)}, {"size", data.size()}};
  }
  /// An image of one layer; the descriptor of its manifest.
  json put_image(const std::string& layer, const std::string& layer_type, const Digest& diff_id) const {
    const json config = {{"rootfs", {{"type", "layers"}, {"diff_ids", json::array({to_string(diff_id)})}}}};
    const json manifest = {{"schemaVersion", 2},
                           {"config", put(config.dump(), "application/vnd.oci.image.config.v1+json")},
                           {"layers", json::array({put(layer, layer_type)})}};
    return put(manifest.dump(), "application/vnd.oci.image.manifest.v1+json");
  }
  json put_index(const json& entries) const {
    return put(json{{"schemaVersion", 2}, {"manifests", entries}}.dump(),
               "application/vnd.oci.image.index.v1+json");
  }
  void set_index(const json& entries) const {
    write_file_durably(root_ / "index.json", json{{"schemaVersion", 2}, {"manifests", entries}}.dump(), 0644);
  }

 private:
  std::filesystem::path root_;
};

inline nlohmann::json tagged(nlohmann::json descriptor, const std::string& tag) {
  descriptor["annotations"]["org.opencontainers.image.ref.name"] = tag;
  return descriptor;
}
inline nlohmann::json of_platform(nlohmann::json descriptor, const std::string& architecture) {
  descriptor["platform"] = {{"os", "linux"}, {"architecture", architecture}};
  return descriptor;
}

}  // namespace erofs_oci::testing
