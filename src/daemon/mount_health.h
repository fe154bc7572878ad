// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "base/byte_range.h"
#include "base/error.h"
#include "base/mutex.h"
#include "control/messages.h"

namespace erofs_oci {

/// How a mount fares, for status, and the edge that logs its failed reads: one line per mount and kKept, with
/// a count of those left out. Thread-safe.
class MountHealth {
 public:
  /// A failed read is news for so long, and is then forgotten.
  static constexpr std::chrono::seconds kKept{30};

  explicit MountHealth(std::string mount) : mount_(std::move(mount)) {}

  void read_failed(ByteRange range, const Error& error);
  void transport_ended(const std::string& how);
  void transport_started();
  bool has_ended() const;

  /// What status says: opening, serving, or failed and why.
  std::pair<Health, std::optional<std::string>> state() const;

 private:
  using Clock = std::chrono::steady_clock;

  const std::string mount_;
  mutable Mutex mutex_;
  std::string last_failure_ GUARDED_BY(mutex_);
  std::optional<Clock::time_point> last_failure_at_ GUARDED_BY(mutex_);
  std::optional<Clock::time_point> last_logged_at_ GUARDED_BY(mutex_);
  uint64_t not_logged_ GUARDED_BY(mutex_) = 0;
  bool started_ GUARDED_BY(mutex_) = false;
  std::optional<std::string> ended_ GUARDED_BY(mutex_);
};

}  // namespace erofs_oci
