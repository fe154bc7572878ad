// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace erofs_oci {

/// mount(8)'s options, sorted by who understands them.
struct MountOptions {
  unsigned attributes = 0;  ///< MOUNT_ATTR_* bits, always with MOUNT_ATTR_RDONLY
  std::vector<std::pair<std::string, std::optional<std::string>>> filesystem;  ///< EROFS's own: key, value
  std::vector<std::string> userspace;  ///< for /run/mount/utab: _netdev, x-…, helper=…
};

/// Sorts `options`, each a word as in fstab(5)'s fourth field. A later one overrides an earlier one ("nodev",
/// "dev"). "rw" is Error invalid; a word that is not known is left for the filesystem to judge.
MountOptions parse_mount_options(std::span<const std::string> options);

}  // namespace erofs_oci
