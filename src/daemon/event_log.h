// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/mutex.h"
#include "control/messages.h"

namespace erofs_oci {

/// What is told of each event. Thread-safe; does not block for long.
using EventSink = std::function<void(const Event&)>;

/// The journal's MESSAGE_ID of a kind of event: 32 hex digits, the same for ever. erofs-ocid(8) lists them.
std::string_view message_id(EventKind kind);

/// Logs the event with MESSAGE_ID and its fields: MOUNT, LAYER, SPAN.
void log_event(const Event& event);

/// Events of all mounts, logged and told to whoever listens. Thread-safe.
class EventLog {
 public:
  /// What one listener has not taken yet. A slow one loses events, and is told how many.
  class Listener;

  void publish(const Event& event) EXCLUDES(mutex_);
  std::shared_ptr<Listener> listen() EXCLUDES(mutex_);

 private:
  Mutex mutex_;
  std::vector<std::weak_ptr<Listener>> listeners_ GUARDED_BY(mutex_);
};

class EventLog::Listener {
 public:
  /// More than so many that are not taken are lost.
  static constexpr size_t kMaxWaiting = 256;

  /// Waits for the next event, or until `stop`: then nullopt.
  std::optional<Event> next(const std::stop_token& stop) EXCLUDES(mutex_);
  /// How many were lost since the last call.
  uint64_t take_lost() EXCLUDES(mutex_);

 private:
  friend class EventLog;
  void put(const Event& event) EXCLUDES(mutex_);

  Mutex mutex_;
  CondVar changed_;
  std::deque<Event> waiting_ GUARDED_BY(mutex_);
  uint64_t lost_ GUARDED_BY(mutex_) = 0;
};

}  // namespace erofs_oci
