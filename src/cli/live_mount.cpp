// SPDX-License-Identifier: Apache-2.0
#include "cli/live_mount.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cstring>

#include "base/error.h"
#include "control/interface.h"

namespace erofs_oci {
namespace {

constexpr const char* kFilesystem = "erofs";
constexpr const char* kIdentifier = "erofs-oci:";  // MountState::identifier()

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
  if (state.definition.mountpoint.empty()) return std::nullopt;
  const auto mount = find_mount(state.definition.mountpoint);
  if (!mount) return std::nullopt;
  if (is_recorded(state, *mount) || is_unrecorded(state, *mount)) return mount;
  return std::nullopt;
}

std::optional<std::string> name_of_device(const std::string& path) {
  for (const nbd::KernelDevice& device : nbd::KernelDevice::find_all(kIdentifier)) {
    if (device.path() != path) continue;
    const std::string rest = device.identifier().value_or(kIdentifier).substr(std::strlen(kIdentifier));
    const size_t end = rest.rfind(':');
    if (end != std::string::npos && is_generation(rest.substr(end + 1))) return rest.substr(0, end);
  }
  return std::nullopt;
}

std::optional<MountState> recover_state(const std::string& name) {
  const std::string prefix = fmt::format("{}{}:", kIdentifier, name);
  for (const nbd::KernelDevice& device : nbd::KernelDevice::find_all(prefix)) {
    MountState state;
    state.definition.name = name;
    state.generation = device.identifier().value_or(prefix).substr(prefix.size());
    state.nbd_index = static_cast<uint32_t>(device.index());
    state.control_socket = kControlSocket;
    if (!is_generation(state.generation)) continue;  // of another name, which has a ':'
    struct stat info {};
    if (::stat(device.path().c_str(), &info) != 0) throw errno_error("{}", device.path());
    const auto mounts = find_mounts_of(info.st_rdev);
    if (!mounts.empty()) state.definition.mountpoint = mounts.front().target;
    return state;
  }
  return std::nullopt;
}

std::optional<nbd::KernelDevice> find_own_device(const MountState& state) {
  if (state.transport != TransportKind::nbd) return std::nullopt;
  return nbd::KernelDevice::find(state.identifier());
}

}  // namespace erofs_oci
