// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "control/mount_state.h"
#include "mount/mount_table.h"
#include "nbd/kernel_device.h"

namespace erofs_oci {

/// The mount that `state` tells of, where it is still there and is ours: the EROFS with the recorded ids and
/// device at the recorded place, or, where the client died before it could record one, an EROFS at the place
/// on a device of our own.
std::optional<MountInfo> find_live_mount(const MountState& state);

/// The option by which /run/mount/utab tells whose a mount is: "x-erofs-oci=NAME:GENERATION".
std::string identifying_option(const MountState& state);

/// What is known of mounts beside their state files, by the identifiers of nbd devices and by utab: name, generation,
/// transport, device and place, enough to undo one. In no order.
std::vector<MountState> recover_states();
/// Of one mount. Only under the name's lock, without which a mount may have no state yet.
std::optional<MountState> recover_state(const std::string& name);

/// Names of all mounts, whether they have a state file or not; sorted.
std::vector<std::string> names_of_mounts(const MountStates& states);

/// The nbd device that bears the state's identifier; nullopt where there is none (any more).
std::optional<nbd::KernelDevice> find_own_device(const MountState& state);

}  // namespace erofs_oci
