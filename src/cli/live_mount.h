// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "control/mount_state.h"
#include "mount/mount_table.h"
#include "nbd/kernel_device.h"

namespace erofs_oci {

/// The mount that `state` tells of, where it is still there and is ours: the EROFS with the recorded ids and
/// device at the recorded place, or, where the client died before it could record one, an EROFS at the place
/// on a device of our own.
std::optional<MountInfo> find_live_mount(const MountState& state);

/// The nbd device that bears the state's identifier; nullopt where there is none (any more).
std::optional<nbd::KernelDevice> find_own_device(const MountState& state);

}  // namespace erofs_oci
