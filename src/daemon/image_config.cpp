// SPDX-License-Identifier: Apache-2.0
#include "daemon/image_config.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace erofs_oci {

using nlohmann::json;

std::string ImageConfig::member(const char* name) const {
  if (!json_.is_object()) return "";
  const auto found = json_.find(name);
  return found != json_.end() && found->is_string() ? printable(found->get_ref<const std::string&>()) : "";
}

std::optional<registry::Platform> ImageConfig::platform() const {
  const std::string os = member("os");
  const std::string architecture = member("architecture");
  if (os.empty() || architecture.empty()) return std::nullopt;
  return registry::Platform{os, architecture, member("variant")}.normalized();
}

std::vector<Digest> ImageConfig::diff_ids(size_t layers, const std::string& name) const {
  if (!json_.is_object() || !json_.contains("rootfs")) return {};
  std::vector<Digest> digests;
  try {
    for (const json& text : json_.at("rootfs").at("diff_ids")) {
      const auto digest = Digest::try_parse(text.get_ref<const std::string&>());
      if (!digest) {
        throw make_error(ErrorKind::corrupt, "{}: its configuration says that \"{}\" is a layer's digest",
                         name, printable(text.get_ref<const std::string&>()));
      }
      digests.push_back(*digest);
    }
  } catch (const json::exception&) {
    throw make_error(ErrorKind::corrupt, "{}: its configuration has a rootfs without the layers' digests",
                     name);
  }
  if (digests.size() != layers) {
    throw make_error(ErrorKind::corrupt, "{}: its configuration speaks of {} layers, its manifest of {}",
                     name, digests.size(), layers);
  }
  return digests;
}

void check_platform(const Definition& definition, const ImageConfig& config) {
  if (!definition.platform) return;
  const auto wanted = registry::Platform::parse(*definition.platform);
  const auto stated = config.platform();
  if (!stated || std::ranges::count(wanted.runs(), *stated) != 0) return;
  throw make_error(ErrorKind::not_found, "{} is for {} alone, and platform asks for {}", definition.image,
                   to_string(*stated), to_string(wanted));
}

}  // namespace erofs_oci
