// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "base/real_path.h"

namespace erofs_oci {

/// Writes what systemd is to know of the definitions in `definitions` into `output` (systemd.generator(7)'s
/// first folder). What is wrong with one of them, or cannot be written, is logged, and the others are done: a
/// boot goes on. Returns false where something was. `mount_points` are those of this host, behind which it
/// looks at nothing.
bool run_generator(const std::filesystem::path& definitions, const std::filesystem::path& output,
                   const MountPoints& mount_points);

}  // namespace erofs_oci
