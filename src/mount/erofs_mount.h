// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "mount/mountpoint.h"

namespace erofs_oci {

/// What to mount where.
struct MountRequest {
  std::string source;  ///< a block device, or on Linux 6.12 and later a regular file
  std::filesystem::path mountpoint;
  /// Words as in fstab(5); what EROFS does not know is an Error in the kernel's words.
  std::vector<std::string> options;
  std::optional<uint64_t> read_ahead;  ///< bytes; none: as the device has it
};

/// A fresh mount, undone by the destructor unless release() was called. One thread at a time.
class ScopedMount {
 public:
  /// Takes over `root`, an O_PATH descriptor from fsmount(2), which is to go to `target`.
  ScopedMount(UniqueFd root, std::filesystem::path target);
  ScopedMount(ScopedMount&&) = default;
  ScopedMount& operator=(ScopedMount&&) = delete;
  ~ScopedMount();

  void attach(const Mountpoint& mountpoint);

  /// The id in /proc/self/mountinfo.
  int id() const { return id_; }
  /// As unique_mount_id_of().
  std::optional<uint64_t> unique_id() const { return unique_id_; }
  /// The filesystem's device number.
  dev_t device() const { return device_; }
  /// Where it is mounted, free of symlinks.
  const std::filesystem::path& target() const { return target_; }

  /// Keeps the mount.
  void release() { root_.reset(); }

 private:
  UniqueFd root_;  // empty: released
  std::filesystem::path target_;
  int id_;
  std::optional<uint64_t> unique_id_;
  dev_t device_;
};

/// Mounts an EROFS read-only by the new mount API (fsopen(2)) and records the options that userspace
/// understands in utab. Error busy where something is mounted there already, not_found or invalid where the
/// mount point is no directory (see Mountpoint), else what the kernel said; a regular file as source is errno
/// ENOTBLK on kernels that cannot mount one. Blocks while the filesystem's first blocks are read. Needs
/// CAP_SYS_ADMIN.
ScopedMount mount_erofs(const MountRequest& request);

/// Mounts the regular file that `file` is open on, which may be closed afterwards; request.source is not
/// used. Goes through a loop device of `block_size` (512 or 4096) bytes, or directly where the kernel has no
/// loop driver and is 6.12 or later; README.md says why in this order. Else as mount_erofs().
ScopedMount mount_erofs_file(int file, unsigned block_size, MountRequest request);

}  // namespace erofs_oci
