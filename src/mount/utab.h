// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <span>
#include <string>

namespace erofs_oci {

// /run/mount/utab: what userspace knows about mounts and the kernel does not. systemd reads `_netdev` there
// and orders the mount's unit as a remote one; umount(8) reads `helper=NAME` and leaves the work to
// umount.NAME (`uhelper=` only where the caller is not root).

/// Records `options` for the mount of `source` at `target`. No options, no entry.
void record_in_utab(const std::string& source, const std::filesystem::path& target,
                    std::span<const std::string> options);

/// Removes the entry of `target`, where there is one.
void remove_from_utab(const std::filesystem::path& target);

}  // namespace erofs_oci
