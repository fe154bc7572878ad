// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "config/daemon_settings.h"

namespace erofs_oci {

/// The settings of a service: of `file`, of which it keeps a copy in `state_dir`. Where they cannot be read, says so and gives
/// those of that copy, or the defaults: mounts outlive a daemon, and their readers wait for the next one, typing error or not.
DaemonSettings settings_to_serve_with(const std::filesystem::path& file, const std::filesystem::path& state_dir);

}  // namespace erofs_oci
