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
#include "daemon/event_log.h"
#include "daemon/transport.h"
#include "source/mapped_device.h"

namespace erofs_oci {

/// How a mount fares, for status, and the edge that tells what happens to it. Of failed reads one event per mount and kKept,
/// with a count of those left out. Thread-safe.
class MountHealth {
 public:
  /// A failed read is news for so long, and is then forgotten.
  static constexpr std::chrono::seconds kKept{30};

  explicit MountHealth(std::string mount, EventSink tell = log_event)
      : mount_(std::move(mount)), tell_(std::move(tell)) {}

  void read_failed(ByteRange range, const Error& error) { read_failed(FailedRead{range, {}, {}}, error); }
  void read_failed(const FailedRead& read, const Error& error);
  void served(const std::string& image, TransportKind transport);
  void closed();
  /// The source is away (why), or back (none).
  void source_changed(const std::optional<Error>& away);
  void transport_ended(const TransportEnd& end);
  void transport_started();
  bool has_ended() const;

  /// What status says: opening, serving, waiting or failed and why.
  std::pair<Health, std::optional<std::string>> state() const;

 private:
  using Clock = std::chrono::steady_clock;

  void tell(EventKind kind, std::string message) const;

  const std::string mount_;
  const EventSink tell_;
  mutable Mutex mutex_;
  std::string last_failure_ GUARDED_BY(mutex_);
  std::optional<Clock::time_point> last_failure_at_ GUARDED_BY(mutex_);
  std::optional<Clock::time_point> last_logged_at_ GUARDED_BY(mutex_);
  uint64_t not_logged_ GUARDED_BY(mutex_) = 0;
  bool started_ GUARDED_BY(mutex_) = false;
  std::optional<std::string> ended_ GUARDED_BY(mutex_);
  std::optional<std::string> away_ GUARDED_BY(mutex_);
};

}  // namespace erofs_oci
