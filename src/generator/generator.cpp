// SPDX-License-Identifier: Apache-2.0
#include "generator/generator.h"

#include <fcntl.h>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/real_path.h"
#include "config/definition_file.h"
#include "generator/generated_units.h"

namespace erofs_oci {
namespace {

namespace fs = std::filesystem;

/// systemd names mounts by paths without symlinks, and refuses others. The last component is no symlink in
/// any case.
Definition with_real_mountpoint(Definition definition, const MountPoints& mount_points) {
  const fs::path folder = real_path(definition.mountpoint.parent_path(), mount_points);
  definition.mountpoint = folder / definition.mountpoint.filename();
  return definition;
}

void write(const fs::path& output, const GeneratedFile& file) {
  const fs::path path = output / file.path;
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  if (error) throw system_error(error.value(), path.parent_path().native());
  if (!file.link_to.empty()) {
    fs::create_symlink(file.link_to, path, error);
    if (error) throw system_error(error.value(), path.native());
    return;
  }
  if (fs::exists(path, error)) {
    throw make_error(ErrorKind::busy, "{} is there already, of fstab or another definition", path.native());
  }
  const UniqueFd fd = open_file(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
  write_all(fd.get(), as_bytes(file.text), path.native());
}

/// Runs `body` for the definition `name`; false where that failed, which is logged.
template <typename Body>
bool attempt(const std::string& name, const Body& body) {
  try {
    body();
    return true;
  } catch (const std::exception& error) {
    logf(LogLevel::error, "{}: {}; ignoring", name, error.what());
    return false;
  }
}

}  // namespace

bool run_generator(const fs::path& definitions, const fs::path& output, const MountPoints& mount_points) {
  bool good = true;
  std::vector<Definition> all;
  for (const std::string& name : list_definitions(definitions)) {
    good &= attempt(name, [&] {
      all.push_back(with_real_mountpoint(load_definition(find_definition(name, definitions)), mount_points));
    });
  }
  for (const Definition& definition : all) {
    good &= attempt(definition.name, [&] {
      for (const GeneratedFile& file : generate_units(definition, all)) write(output, file);
    });
  }
  return good;
}

}  // namespace erofs_oci
