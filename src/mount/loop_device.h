// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "base/unique_fd.h"

namespace erofs_oci {

/// A read-only loop device. The kernel frees it with its last user, this object or a mount: nothing is left
/// to undo.
class LoopDevice {
 public:
  /// Makes the file that `file` is open on a block device with logical blocks of `block_size` (512 or 4096)
  /// bytes, read past the page cache where the file's filesystem can. nullopt where the kernel has no loop
  /// driver. Needs Linux 5.8 and CAP_SYS_ADMIN.
  static std::optional<LoopDevice> attach(int file, unsigned block_size);

  /// "/dev/loop3"
  const std::string& path() const { return path_; }
  int fd() const { return fd_.get(); }

 private:
  LoopDevice(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  UniqueFd fd_;
  std::string path_;
};

}  // namespace erofs_oci
