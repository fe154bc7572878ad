// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "config/definition.h"

namespace erofs_oci {

/// A file of a generator's output.
struct GeneratedFile {
  std::filesystem::path path;  ///< below the output folder
  std::string text;
  std::filesystem::path link_to;  ///< where it is set, the file is a symlink there
};

/// The units and drop-ins of `definition` (systemd.generator(7)), whose mount point has no symlink in it.
/// `all` are the definitions of this host: what one mounts may lie on what another mounts. Error unsupported
/// where systemd cannot have such a mount point.
std::vector<GeneratedFile> generate_units(const Definition& definition, std::span<const Definition> all);

}  // namespace erofs_oci
