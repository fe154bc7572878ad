// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "base/mutex.h"
#include "base/unique_fd.h"

namespace erofs_oci {

/// What the service manager is told and what it keeps for us (sd_notify(3), systemd.service(5)
/// FileDescriptorStoreMax=). Without one every call does nothing. Thread-safe.
class ServiceManager {
 public:
  /// The next life gets the names of all that is stored in one variable, LISTEN_FDNAMES, and the kernel
  /// starts no program with one of 128 KiB (MAX_ARG_STRLEN): with more in the store no daemon could be
  /// started again. Each name counts with the colon behind it.
  static constexpr size_t kMaxNameBytes = 120'000;
  /// FileDescriptorStoreMax= of the unit: beyond it the manager drops what comes without a word.
  static constexpr size_t kMaxStored = 3000;

  /// Takes the descriptors passed in by their names; listening sockets and stored ones alike. Call once.
  std::map<std::string, UniqueFd> take_descriptors();

  void ready(const std::string& status) const;
  void status(const std::string& text) const;
  void reloading() const;
  void stopping() const;
  void watchdog() const;
  /// How often watchdog() must be called; nullopt where nobody waits for it.
  static std::optional<std::chrono::microseconds> watchdog_period();

  /// Keeps copies of descriptors under their names for our next life, in place of what has that name; they
  /// are there when this returns. A hung-up one stays too. All of them or, with an Error, none: no_space
  /// where they would pass the limits above.
  void store(const std::map<std::string, int>& fds);
  void forget(const std::string& name);

 private:
  void note_stored(const std::map<std::string, int>& fds);

  Mutex mutex_;
  std::set<std::string> stored_ GUARDED_BY(mutex_);  // names
  size_t name_bytes_ GUARDED_BY(mutex_) = 0;
};

}  // namespace erofs_oci
