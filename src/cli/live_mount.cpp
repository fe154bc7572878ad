// SPDX-License-Identifier: Apache-2.0
#include "cli/live_mount.h"

#include <fmt/format.h>

namespace erofs_oci {
namespace {

constexpr const char* kFilesystem = "erofs";

/// A mount that its client did not live to record. The place was found free, and then locked for this mount.
bool is_unrecorded(const MountState& state, const MountInfo& mount) {
  if (state.phase != MountPhase::preparing || mount.type != kFilesystem) return false;
  if (state.transport != TransportKind::nbd) return !mount.source.starts_with("/dev/nbd");
  const auto device = find_own_device(state);
  return device && mount.source == device->path();
}

bool is_recorded(const MountState& state, const MountInfo& mount) {
  if (!state.mount_id || static_cast<uint32_t>(mount.id) != *state.mount_id) return false;
  // The id alone proves little: the kernel gives it to the next mount as soon as ours is gone.
  if (mount.type != kFilesystem) return false;
  if (state.unique_mount_id && mount.unique_id != state.unique_mount_id) return false;
  if (state.mount_device && mount.device != *state.mount_device) return false;
  return !state.nbd_index || mount.source == fmt::format("/dev/nbd{}", *state.nbd_index);
}

}  // namespace

std::optional<MountInfo> find_live_mount(const MountState& state) {
  const auto mount = find_mount(state.definition.mountpoint);
  if (!mount) return std::nullopt;
  if (is_recorded(state, *mount) || is_unrecorded(state, *mount)) return mount;
  return std::nullopt;
}

std::optional<nbd::KernelDevice> find_own_device(const MountState& state) {
  if (state.transport != TransportKind::nbd) return std::nullopt;
  return nbd::KernelDevice::find(state.identifier());
}

}  // namespace erofs_oci
