// SPDX-License-Identifier: Apache-2.0
#include "cli/source_argument.h"

#include <array>
#include <filesystem>
#include <string_view>

#include "base/error.h"
#include "cli/commands.h"
#include "config/definition_file.h"
#include "config/image_source.h"
#include "config/rules.h"

namespace erofs_oci {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 4> kPrefixes{"oci:", "oci-archive:", "tar:", "file:"};
constexpr std::array<std::string_view, 5> kArchives{".tar", ".tar.gz", ".tgz", ".tar.zst", ".tzst"};

/// Of "prefix:path", with an absolute path; a name of an archive is one without a prefix.
std::string absolute_source(const std::string& source) {
  for (const std::string_view prefix : kPrefixes) {
    if (source.starts_with(prefix))
      return std::string(prefix) + fs::absolute(source.substr(prefix.size())).native();
  }
  for (const std::string_view ending : kArchives) {
    if (source.ends_with(ending)) return "tar:" + fs::absolute(source).native();
  }
  return source;
}

bool is_defined(const std::string& name) {
  return is_mount_name(name) && fs::exists(fs::path(kDefinitionDirectory) / (name + ".toml"));
}

}  // namespace

Definition definition_of_source(const std::string& source, const SourceOptions& options) {
  Definition definition;
  if (source.ends_with(".toml") || is_defined(source)) {
    definition = definition_of(source);
  } else {
    definition.name = kSourceName;
    definition.image = absolute_source(source);
    definition.mountpoint = "/nowhere";  // nobody mounts it
    with_context(source, [&] { parse_image_source(definition.image); });
  }
  if (!options.platform.empty()) {
    definition.platform = with_context("--platform", [&] { return platform_rule(options.platform); });
  }
  if (!options.layer.empty()) definition.layer = options.layer;
  if (!options.ca.empty()) definition.registry.ca = fs::absolute(options.ca);
  if (!options.credential.empty()) definition.registry.credential = fs::absolute(options.credential);
  definition.registry.insecure |= options.insecure;
  return definition;
}

}  // namespace erofs_oci
