// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>

#include <string>

namespace erofs_oci {

/// A path that leads this process to what `fd` refers to, even where that has no path of its own
/// (proc_pid_fd(5)).
inline std::string proc_path(int fd) {
  return fmt::format("/proc/self/fd/{}", fd);
}

}  // namespace erofs_oci
