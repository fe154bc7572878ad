// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "base/unique_fd.h"
#include "cache/built_layer.h"
#include "config/daemon_settings.h"

namespace erofs_oci {

struct DaemonOptions {
  std::filesystem::path settings_file = kDaemonSettingsFile;
  std::filesystem::path state_dir = "/var/lib/erofs-oci";
  /// Where spans are kept; none: where the settings say, which a daemon of one command only reads from.
  std::optional<std::filesystem::path> cache_dir;
  /// Where builds of indexes leave the layers that they decode, for the process that writes that cache.
  CacheFill fill;
  /// Where to listen when the service manager passes no socket; made mode 0600.
  std::optional<std::filesystem::path> listen;
  /// Likewise, a socket that listens already, passed by whoever started it: its maker's user commands.
  std::optional<int> listen_fd;

  /// Made for one command, not by the service manager.
  bool is_private() const { return listen || listen_fd; }
};

/// Serves until SIGTERM or SIGINT. Returns the process's exit code; throws Error where it cannot start.
/// Blocks the signals it waits for, so it is called before any thread starts.
int run_daemon(const DaemonOptions& options);

}  // namespace erofs_oci
