// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>

#include "base/unique_fd.h"
#include "control/mount_state.h"
#include "daemon/service_manager.h"

namespace erofs_oci {

/// What of a mount the service manager keeps for the daemon's next life, which goes on with it: descriptors
/// by what they are. The list of parts: README.md.
using StoredMount = std::map<std::string, UniqueFd, std::less<>>;
/// By the mounts' generations.
using StoredMounts = std::map<std::string, StoredMount>;

constexpr std::string_view kStoredConnection = "connection";
constexpr std::string_view kStoredTable = "table";
constexpr std::string_view kStoredPipeRead = "pipe-read";
constexpr std::string_view kStoredPipeWrite = "pipe-write";

/// The name that a part of a mount is kept under: "GENERATION.PART".
std::string stored_name(const std::string& generation, std::string_view part);

/// Sorts what the service manager passed; what bears no such name it is to forget.
StoredMounts sort_stored(std::map<std::string, UniqueFd> passed, ServiceManager& manager);

/// Takes what belongs to no mount out of `stored`, and has the service manager forget it. A state file is
/// written before anything is stored under its generation, and removed after it was forgotten: what none
/// names, and the kernel has let go of, nobody will claim. Where a state file cannot be read, all is kept.
void drop_unclaimed(StoredMounts& stored, const MountStates& states, ServiceManager& manager);

/// Has the service manager forget all of one generation.
void forget(const std::string& generation, const StoredMount& parts, ServiceManager& manager);

}  // namespace erofs_oci
