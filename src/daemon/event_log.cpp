// SPDX-License-Identifier: Apache-2.0
#include "daemon/event_log.h"

#include <array>
#include <utility>

namespace erofs_oci {
namespace {

struct Entry {
  EventKind kind;
  std::string_view message_id;  // never to be changed: people's filters and catalogs go by it
  LogLevel level;
};

constexpr std::array<Entry, 7> kCatalog{{
    {EventKind::served, "ab4c212c4aa964c55486e0065f0a528e", LogLevel::info},
    {EventKind::closed, "b5b220b1d658a2d0107e17c6539fbf0f", LogLevel::info},
    {EventKind::source_away, "dd468a23e90f6b13e47a10f89cc9e576", LogLevel::warning},
    {EventKind::source_back, "98ffe14685b44d0366781726f8e21b24", LogLevel::notice},
    {EventKind::read_failed, "304aed7c6f5cf387b7a44f8006ec6afb", LogLevel::error},
    {EventKind::corrupt, "d9b39e6658cac8034d84ce7fb76e9ac5", LogLevel::error},
    {EventKind::connection_lost, "3c6ff9a1fbbc4caf99302e66f0cae282", LogLevel::error},
}};

const Entry& entry_of(EventKind kind) { return kCatalog.at(static_cast<size_t>(kind)); }

}  // namespace

std::string_view message_id(EventKind kind) { return entry_of(kind).message_id; }

void log_event(const Event& event) {
  LogFields fields{{"MESSAGE_ID", std::string(message_id(event.kind))}, {"MOUNT", event.mount}};
  if (event.layer) fields.emplace_back("LAYER", *event.layer);
  if (event.span) fields.emplace_back("SPAN", std::to_string(*event.span));
  log(entry_of(event.kind).level, fmt::format("{}: {}", event.mount, event.message), fields);
}

void EventLog::publish(const Event& event) {
  log_event(event);
  std::vector<std::shared_ptr<Listener>> listeners;
  {
    MutexLock lock(mutex_);
    std::erase_if(listeners_, [](const auto& listener) { return listener.expired(); });
    for (const auto& each : listeners_) {
      if (auto listener = each.lock()) listeners.push_back(std::move(listener));
    }
  }
  for (const auto& listener : listeners) listener->put(event);
}

std::shared_ptr<EventLog::Listener> EventLog::listen() {
  auto listener = std::make_shared<Listener>();
  MutexLock lock(mutex_);
  listeners_.push_back(listener);
  return listener;
}

void EventLog::Listener::put(const Event& event) {
  {
    MutexLock lock(mutex_);
    if (waiting_.size() == kMaxWaiting) {
      waiting_.pop_front();
      ++lost_;
    }
    waiting_.push_back(event);
  }
  changed_.notify_all();
}

std::optional<Event> EventLog::Listener::next(const std::stop_token& stop) {
  const std::stop_callback wake(stop, [this] {
    MutexLock lock(mutex_);  // or the waiter could miss it between its look at `stop` and its wait
    changed_.notify_all();
  });
  MutexLock lock(mutex_);
  while (waiting_.empty() && !stop.stop_requested()) changed_.wait(mutex_);
  if (waiting_.empty()) return std::nullopt;
  Event event = std::move(waiting_.front());
  waiting_.pop_front();
  return event;
}

uint64_t EventLog::Listener::take_lost() {
  MutexLock lock(mutex_);
  return std::exchange(lost_, 0);
}

}  // namespace erofs_oci
