// SPDX-License-Identifier: Apache-2.0
#include "cli/live_mount.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "control/interface.h"

namespace erofs_oci {
namespace {

constexpr const char* kFilesystem = "erofs";
constexpr const char* kIdentifier = "erofs-oci:";  // MountState::identifier()
constexpr const char* kOption = "x-erofs-oci";

/// A state that has no more than what "NAME:GENERATION" says; nullopt where it does not say that. A name may have a ':'.
std::optional<MountState> identified(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || !is_generation(text.substr(colon + 1))) return std::nullopt;
  MountState state;
  state.definition.name = text.substr(0, colon);
  state.generation = text.substr(colon + 1);
  state.control_socket = kControlSocket;
  return state;
}

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

std::string identifying_option(const MountState& state) {
  return fmt::format("{}={}:{}", kOption, state.name(), state.generation);
}

std::vector<MountState> recover_states() {
  std::vector<MountState> states;
  for (const nbd::KernelDevice& device : nbd::KernelDevice::find_all(kIdentifier)) {
    auto state = identified(device.identifier().value_or(kIdentifier).substr(std::strlen(kIdentifier)));
    if (!state) continue;
    state->nbd_index = static_cast<uint32_t>(device.index());
    struct stat info {};
    if (::stat(device.path().c_str(), &info) != 0) throw errno_error("{}", device.path());
    const auto mounts = find_mounts_of(info.st_rdev);
    if (!mounts.empty()) state->definition.mountpoint = mounts.front().target;
    states.push_back(*std::move(state));
  }
  for (const NotedMount& noted : find_mounts_noted(kOption)) {
    auto state = identified(noted.value);
    if (!state || noted.mount.type != kFilesystem) continue;
    state->definition.mountpoint = noted.mount.target;
    const auto same = std::ranges::find(states, state->identifier(), &MountState::identifier);
    if (same != states.end()) {
      same->definition.mountpoint = noted.mount.target;  // a bind mount of it may have been found before
    } else {
      state->transport = TransportKind::fuse;
      states.push_back(*std::move(state));
    }
  }
  return states;
}

std::optional<MountState> recover_state(const std::string& name) {
  std::vector<MountState> states = recover_states();
  const auto found = std::ranges::find(states, name, &MountState::name);
  return found == states.end() ? std::nullopt : std::optional(*std::move(found));
}

std::vector<std::string> names_of_mounts(const MountStates& states) {
  std::vector<std::string> names = states.names();
  for (const MountState& state : recover_states()) names.push_back(state.name());
  std::ranges::sort(names);
  names.erase(std::ranges::unique(names).begin(), names.end());
  return names;
}

std::optional<nbd::KernelDevice> find_own_device(const MountState& state) {
  if (state.transport != TransportKind::nbd) return std::nullopt;
  return nbd::KernelDevice::find(state.identifier());
}

}  // namespace erofs_oci
