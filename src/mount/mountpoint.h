// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "base/unique_fd.h"

namespace erofs_oci {

/// The id of the mount that `fd` lies in, by a number that is never used again until the host is booted;
/// nullopt before Linux 6.8. The ids of /proc/self/mountinfo are used again.
std::optional<uint64_t> unique_mount_id_of(int fd);

/// A place in the file tree, held by descriptors from the moment it was looked up: what is mounted or
/// unmounted there later is what was checked, even if somebody swaps a folder for a symlink in between.
/// Symlinks in parent folders are resolved once, by the look-up: administrators have /var -> /data/var. One
/// in the last component is refused, because whoever may write to its folder, perhaps not root, could send
/// the mount to /etc or /usr.
class Mountpoint {
 public:
  /// Error not_found where `path` does not exist, invalid where it is not absolute, or no directory.
  /// Does not trigger an automount that waits there.
  static Mountpoint open(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  /// O_PATH descriptor of the directory, or of the root of what is mounted there. It keeps a mount busy.
  int fd() const { return fd_.get(); }
  void close_fd() { fd_.reset(); }

  /// The id of the mount that fd() lies in.
  int mount_id() const;
  /// Likewise, as unique_mount_id_of().
  std::optional<uint64_t> unique_mount_id() const;
  /// Whether fd() is the root of a mount rather than a directory inside one.
  bool is_mount_root() const;
  /// A path for this process to the directory's name in its folder, safe against swapped parents; for
  /// umount2(2).
  std::string name_in_folder() const;

 private:
  std::filesystem::path path_;
  UniqueFd folder_;
  UniqueFd fd_;
};

}  // namespace erofs_oci
