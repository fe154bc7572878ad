// SPDX-License-Identifier: Apache-2.0
#include "daemon/mount_health.h"

#include "base/log.h"

namespace erofs_oci {

void MountHealth::read_failed(ByteRange range, const Error& error) {
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
    line = fmt::format("{}: reading device bytes {} failed: {}", mount_, to_string(range), error.what());
    if (not_logged_ != 0) line += fmt::format(" ({} more failed since the last message)", not_logged_);
    not_logged_ = 0;
  }
  log(LogLevel::error, line, {{"MOUNT", mount_}});
}

void MountHealth::transport_ended(const std::string& how) {
  MutexLock lock(mutex_);
  ended_ = how;
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
  return {Health::serving, std::nullopt};
}

}  // namespace erofs_oci
