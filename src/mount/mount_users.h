// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "mount/mount_table.h"

namespace erofs_oci {

/// Who keeps `mount` busy, for people: "bash (pid 123)", "the mount /srv/tools/data". At most five, then "…".
/// Processes are found by their working directory, root, program, open files and mappings; one that ends or
/// may not be looked at is left out. Asks no filesystem, so a stuck one does not block it.
std::vector<std::string> find_mount_users(const MountInfo& mount);

/// Whether the filesystem on `device` is mounted in the mount namespace of any process, or that could not be found out in the time
/// that somebody waits for it.
bool is_mounted_anywhere(dev_t device);

}  // namespace erofs_oci
