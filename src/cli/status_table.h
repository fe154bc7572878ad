// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "control/messages.h"

namespace erofs_oci {

/// One line a mount, under a heading, and where it does not fare well another that says why. Columns are as
/// wide as they have to be, so that it fits a terminal of 80 columns but for long names and paths, which are
/// never cut.
std::string status_table(const std::vector<MountStatus>& mounts);

/// "1.2 MiB/65.0 MiB": fetched, of the blobs' size; "-" where nothing is fetched from blobs.
std::string fetched_of_blobs(const Counters& counters);

/// "metadata", "34 %" or "complete": how much of the mount's data is on disk; "-" where none is kept.
std::string cached_share(const std::optional<MountCache>& cache);

}  // namespace erofs_oci
