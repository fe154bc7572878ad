// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

namespace erofs_oci {

/// The mount points that /proc/self/mountinfo names (proc_pid_mountinfo(5)), each with the type of the
/// filesystem that is mounted there last, "ext4".
using MountPoints = std::map<std::filesystem::path, std::string>;
MountPoints parse_mount_points(std::string_view mountinfo);
/// Those of this process. Throws Error.
MountPoints current_mount_points();

/// `path`, which is absolute, with its symlinks followed up to the first of `mount_points`; that, and what
/// lies behind it, is left as it is written. There an automount may wait for systemd, which waits for its
/// generators, or a server be away. What does not exist is left as well. So it is the same at boot, where
/// nothing else is mounted yet, and later.
std::filesystem::path real_path(const std::filesystem::path& path, const MountPoints& mount_points);

}  // namespace erofs_oci
