// SPDX-License-Identifier: Apache-2.0
#include "daemon/image.h"

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace erofs_oci {

registry::Platform wanted_platform(const Definition& definition) {
  return definition.platform ? registry::Platform::parse(*definition.platform) : registry::Platform::host();
}

Error given_up() {
  return Error(ErrorKind::unavailable, ECANCELED,
               "given up, since the daemon is stopping or its client has left");
}

std::vector<Digest> Image::diff_ids() {
  const std::string text = config();
  return text.empty() ? std::vector<Digest>() : parse_diff_ids(text, layers().size(), name());
}

std::vector<Digest> parse_diff_ids(const std::string& config_json, size_t layers, const std::string& name) {
  using nlohmann::json;
  std::vector<Digest> digests;
  try {
    const json config = json::parse(config_json);
    for (const json& digest : config.at("rootfs").at("diff_ids"))
      digests.push_back(Digest::parse(digest.get<std::string>()));
  } catch (const json::exception& error) {
    throw make_error(ErrorKind::corrupt, "{}: its configuration cannot be read: {}", name, error.what());
  }
  if (digests.size() != layers) {
    throw make_error(ErrorKind::corrupt, "{}: its configuration speaks of {} layers, its manifest of {}",
                     name, digests.size(), layers);
  }
  return digests;
}

}  // namespace erofs_oci
