// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string_view>

#include "base/log.h"
#include "config/setting.h"

namespace erofs_oci {

constexpr const char* kDaemonSettingsFile = "/etc/erofs-oci/erofs-ocid.conf";

/// What one daemon shares among all its mounts.
struct DaemonSettings {
  std::filesystem::path cache_dir = "/var/cache/erofs-oci";
  uint64_t cache_limit = 10ull << 30;   ///< bytes on disk
  uint64_t memory_limit = 64ull << 20;  ///< bytes of cached and in-flight spans, replies and idle buffers
  uint32_t connections_per_host = 16;
  std::optional<uint32_t> workers;  ///< threads that inflate; none: one a core
  LogLevel log_level = LogLevel::info;
};

/// Every key of the daemon's settings, in the order of the man page. Immutable.
std::span<const Setting<DaemonSettings>> daemon_settings();

/// Strict like parse_definition().
DaemonSettings parse_daemon_settings(std::string_view text, std::string_view file_name);

/// parse_daemon_settings() of a file; the defaults where it does not exist.
DaemonSettings load_daemon_settings(const std::filesystem::path& path = kDaemonSettingsFile);

}  // namespace erofs_oci
