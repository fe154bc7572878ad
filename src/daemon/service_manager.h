// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>

#include "base/unique_fd.h"

namespace erofs_oci {

/// What the service manager is told and what it keeps for us (sd_notify(3), systemd.service(5)
/// FileDescriptorStoreMax=). Without one every call does nothing. Thread-safe.
class ServiceManager {
 public:
  /// Takes the descriptors passed in by their names; listening sockets and stored ones alike. Call once.
  static std::map<std::string, UniqueFd> take_descriptors();

  void ready(const std::string& status) const;
  void status(const std::string& text) const;
  void reloading() const;
  void stopping() const;
  void watchdog() const;
  /// How often watchdog() must be called; nullopt where nobody waits for it.
  static std::optional<std::chrono::microseconds> watchdog_period();

  /// Keeps copies of descriptors under their names for our next life, in place of what has that name; they are there when
  /// this returns. A hung-up one stays too.
  void store(const std::map<std::string, int>& fds) const;
  void forget(const std::string& name) const;
};

}  // namespace erofs_oci
