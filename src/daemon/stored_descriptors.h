// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <map>
#include <string>

#include "base/unique_fd.h"
#include "control/mount_state.h"
#include "daemon/service_manager.h"

namespace erofs_oci {

// What the service manager keeps for a mount over fuse, so that the daemon's next life goes on with it: two
// descriptors, named after the mount's generation.
std::string connection_name(const std::string& generation);
std::string table_name(const std::string& generation);

/// Takes what belongs to no mount out of `stored`, and has the service manager forget it. A state file is
/// written before anything is stored under its generation, and removed after it was forgotten: what none
/// names, nobody will claim. Where a state file cannot be read, all is kept.
void drop_unclaimed(std::map<std::string, UniqueFd>& stored, const MountStates& states,
                    const ServiceManager& manager);

}  // namespace erofs_oci
