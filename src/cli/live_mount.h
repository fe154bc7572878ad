// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "control/mount_state.h"
#include "mount/mount_table.h"
#include "nbd/kernel_device.h"

namespace erofs_oci {

/// The mount that `state` tells of, where it is still there and is ours: the EROFS with the recorded ids and
/// device at the recorded place, or, where the client died before it could record one, an EROFS at the place
/// on a device of our own.
std::optional<MountInfo> find_live_mount(const MountState& state);

/// What the kernel knows of the mount `name` over nbd whose state file was removed: its generation, device
/// and place, enough to undo it. Only under the name's lock, without which a mount may have no state yet.
std::optional<MountState> recover_state(const std::string& name);

/// The name of the mount whose device is `path`, by the device's identifier; nullopt where it is not ours.
std::optional<std::string> name_of_device(const std::string& path);

/// The nbd device that bears the state's identifier; nullopt where there is none (any more).
std::optional<nbd::KernelDevice> find_own_device(const MountState& state);

}  // namespace erofs_oci
