// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "mount/mountpoint.h"

namespace erofs_oci {

/// One mount of this mount namespace, a line of /proc/self/mountinfo.
struct MountInfo {
  int id = 0;
  int parent_id = 0;
  std::optional<uint64_t>
      unique_id;     ///< as unique_mount_id_of(); set where it was looked up by its mount point
  dev_t device = 0;  ///< of the filesystem: the block device's number where it has one
  std::filesystem::path target;
  std::string source;  ///< as it was given to the kernel, "/dev/nbd3"
  std::string type;    ///< "erofs"
};

/// What is mounted at `mountpoint` itself, the topmost; nullopt where nothing is or the path does not exist.
/// Else as Mountpoint::open(). Never asks the mounted filesystem itself, which may be stuck.
std::optional<MountInfo> find_mount(const std::filesystem::path& mountpoint);
std::optional<MountInfo> find_mount(const Mountpoint& mountpoint);

/// The mount with `id` (statx(2)'s stx_mnt_id); nullopt where this mount namespace has none.
std::optional<MountInfo> find_mount_by_id(int id);

/// All mounts of the filesystem on `device`, bind mounts included.
std::vector<MountInfo> find_mounts_of(dev_t device);

/// A mount, and the value of an option that /run/mount/utab has for it.
struct NotedMount {
  MountInfo mount;
  std::string value;
};

/// Mounts for which utab has `option` with a value: "x-name" finds "x-name=VALUE".
std::vector<NotedMount> find_mounts_noted(const std::string& option);

/// Those mounted on directories of mount `id`, which keep it busy.
std::vector<MountInfo> find_mounts_on(int id);

}  // namespace erofs_oci
