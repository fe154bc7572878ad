// SPDX-License-Identifier: Apache-2.0
#include "generator/generated_units.h"

#include <fmt/format.h>

#include <algorithm>

#include "config/definition_file.h"
#include "config/image_source.h"
#include "generator/unit_text.h"

namespace erofs_oci {
namespace {

namespace fs = std::filesystem;

constexpr const char* kBootTarget = "remote-fs.target";
constexpr const char* kTemplate = "/usr/lib/systemd/system/erofs-oci@.service";

/// Two definitions may have one mount point, as long as only one of them is mounted.
std::string drop_in_of(const Definition& definition) {
  return fmt::format("50-erofs-oci@{}.conf", definition.name);
}

std::string instance_of(const Definition& definition) {
  return fmt::format("erofs-oci@{}.service", definition.name);
}

/// Where what `definition` says begins: every unit's first lines.
std::string head(const Definition& definition) {
  return fmt::format("# Written by erofs-oci-generator, see erofs-ocid(8).\n[Unit]\nSourcePath={}/{}.toml\n",
                     kDefinitionDirectory, definition.name);
}

/// The local files and folders that the client opens or the daemon reads.
std::vector<fs::path> local_files(const Definition& definition) {
  std::vector<fs::path> files;
  const ImageSource image = parse_image_source(definition.image);
  if (image.kind != ImageKind::registry) files.emplace_back(image.location);
  for (const auto& file :
       {definition.tarindex, definition.zinfo, definition.registry.ca, definition.registry.hosts_dir}) {
    if (file) files.push_back(*file);
  }
  const auto& credential = definition.registry.credential;
  if (credential && credential->starts_with('/')) files.emplace_back(*credential);
  return files;
}

bool is_below(const fs::path& path, const fs::path& folder) {
  return std::mismatch(folder.begin(), folder.end(), path.begin(), path.end()).first == folder.end();
}

/// What must be mounted before. systemd knows mounts that have a unit file; instances of ours have none for
/// their mount points, so they are named.
std::string mounts_needed(const Definition& definition, const std::vector<fs::path>& paths,
                          std::span<const Definition> all) {
  std::string text;
  for (const fs::path& path : paths) text += fmt::format("RequiresMountsFor={}\n", unit_word(path));
  for (const Definition& other : all) {
    const bool needed =
        other.name != definition.name && !other.automount &&
        std::ranges::any_of(paths, [&](const fs::path& path) { return is_below(path, other.mountpoint); });
    if (needed) text += fmt::format("Requires={0}\nAfter={0}\n", instance_of(other));
  }
  return text;
}

std::string network_needed(const Definition& definition) {
  if (parse_image_source(definition.image).kind != ImageKind::registry) return "";
  return "Wants=network-online.target\nAfter=network-online.target\n";
}

GeneratedFile instance_drop_in(const Definition& definition, std::span<const Definition> all) {
  const std::string mount = path_unit_name(definition.mountpoint, ".mount");
  std::vector<fs::path> paths = local_files(definition);
  paths.push_back(definition.mountpoint.parent_path());
  std::string text = head(definition) + mounts_needed(definition, paths, all) + network_needed(definition);
  // Of an umount(8) by hand the instance must hear. BindsTo= would start a mount unit that has no file.
  text +=
      fmt::format("{}={}\nAfter={}\n", definition.automount ? "BindsTo" : "StopPropagatedFrom", mount, mount);
  if (definition.boot == BootPolicy::required && !definition.automount)
    text += fmt::format("Before={}\n", kBootTarget);
  return {fs::path(instance_of(definition) + ".d") / drop_in_of(definition), text, {}};
}

/// For the mount unit, whoever makes it: fstab, an automount, or systemd on its own for what an instance has
/// mounted.
GeneratedFile mount_drop_in(const Definition& definition, std::span<const Definition> all) {
  constexpr const char* kServed =
      "erofs-ocid.socket erofs-ocid.service erofs-oci-detach.service modprobe@nbd.service "
      "modprobe@erofs.service";
  std::string text = head(definition) + mounts_needed(definition, local_files(definition), all);
  text += fmt::format("Wants={0}\nAfter={0}\n", kServed);
  return {fs::path(path_unit_name(definition.mountpoint, ".mount.d")) / drop_in_of(definition), text, {}};
}

void add_automount(const Definition& definition, std::vector<GeneratedFile>& files) {
  const std::string where = unit_path(definition.mountpoint);
  const std::string automount = path_unit_name(definition.mountpoint, ".automount");
  // A mount may build an index: the program has limits of its own, this one is for the worst.
  files.push_back(
      {path_unit_name(definition.mountpoint, ".mount"),
       head(definition) + fmt::format("Documentation=man:erofs-oci.toml(5)\n\n[Mount]\nWhat={}\nWhere={}\n"
                                      "Type=erofs-oci\nOptions=_netdev,nofail\nTimeoutSec=1h\n",
                                      definition.name, where),
       {}});
  // Not the defaults: local-fs.target would wait for it, and what is below it may be remote.
  files.push_back(
      {automount,
       head(definition) + fmt::format("Documentation=man:erofs-oci.toml(5)\nDefaultDependencies=no\n"
                                      "Conflicts=umount.target\nBefore=umount.target {}\n\n"
                                      "[Automount]\nWhere={}\n",
                                      kBootTarget, where),
       {}});
}

/// What a boot starts. remote-fs.target, which has no default dependencies, does not wait for what it merely
/// wants.
GeneratedFile boot_link(const Definition& definition) {
  const fs::path folder =
      fmt::format("{}.{}", kBootTarget, definition.boot == BootPolicy::required ? "requires" : "wants");
  if (!definition.automount) return {folder / instance_of(definition), "", kTemplate};
  const std::string automount = path_unit_name(definition.mountpoint, ".automount");
  return {folder / automount, "", "../" + automount};
}

}  // namespace

std::vector<GeneratedFile> generate_units(const Definition& definition, std::span<const Definition> all) {
  std::vector<GeneratedFile> files{instance_drop_in(definition, all), mount_drop_in(definition, all)};
  if (definition.automount) add_automount(definition, files);
  if (definition.boot != BootPolicy::off) files.push_back(boot_link(definition));
  return files;
}

}  // namespace erofs_oci
