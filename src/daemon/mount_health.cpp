// SPDX-License-Identifier: Apache-2.0
#include "daemon/mount_health.h"

namespace erofs_oci {

void MountHealth::tell(EventKind kind, std::string message) const {
  tell_({.kind = kind, .mount = mount_, .layer = {}, .span = {}, .message = std::move(message)});
}

void MountHealth::served(const std::string& image, TransportKind transport) {
  tell(EventKind::served, fmt::format("serving {} over {}", image, to_string(transport)));
}

void MountHealth::closed() { tell(EventKind::closed, "closed"); }

void MountHealth::read_failed(const FailedRead& read, const Error& error) {
  std::string line;
  {
    MutexLock lock(mutex_);
    const auto now = Clock::now();
    last_failure_ = error.what();
    last_failure_at_ = now;
    if (last_logged_at_ && now - *last_logged_at_ < kKept) {
      ++not_logged_;
      return;
    }
    last_logged_at_ = now;
    line = fmt::format("reading device bytes {} failed: {}", to_string(read.range), error.what());
    if (not_logged_ != 0) line += fmt::format(" ({} more failed since the last message)", not_logged_);
    not_logged_ = 0;
  }
  const bool corrupt = error.kind() == ErrorKind::corrupt;
  tell_({.kind = corrupt ? EventKind::corrupt : EventKind::read_failed,
         .mount = mount_,
         .layer = read.layer,
         .span = read.span,
         .message = line});
}

void MountHealth::source_changed(const std::optional<Error>& away) {
  {
    MutexLock lock(mutex_);
    away_.reset();
    if (away) away_ = away->what();
  }
  if (away) {
    tell(EventKind::source_away,
         fmt::format("the source is away, reads of what is not kept here wait: {}", away->what()));
  } else {
    tell(EventKind::source_back, "the source is back");
  }
}

void MountHealth::transport_ended(const TransportEnd& end) {
  {
    MutexLock lock(mutex_);
    ended_ = end.how;
  }
  if (end.is_lost) tell(EventKind::connection_lost, end.how + "; waiting for erofs-oci reattach");
}

void MountHealth::transport_started() {
  MutexLock lock(mutex_);
  started_ = true;
  ended_.reset();
}

bool MountHealth::has_ended() const {
  MutexLock lock(mutex_);
  return ended_.has_value();
}

std::pair<Health, std::optional<std::string>> MountHealth::state() const {
  MutexLock lock(mutex_);
  if (ended_) return {Health::failed, ended_};
  if (!started_) return {Health::opening, std::nullopt};
  if (last_failure_at_ && Clock::now() - *last_failure_at_ < kKept) return {Health::failed, last_failure_};
  if (away_) return {Health::waiting, away_};
  return {Health::serving, std::nullopt};
}

}  // namespace erofs_oci
