// SPDX-License-Identifier: Apache-2.0
#include "base/pulse.h"

#include <utility>

namespace erofs_oci {

std::shared_ptr<Pulse> Pulses::add(std::string name) {
  auto pulse = std::make_shared<Pulse>();
  MutexLock lock(mutex_);
  entries_.push_back({std::move(name), pulse});
  return pulse;
}

std::optional<std::string> Pulses::find_stuck(std::chrono::milliseconds limit) const {
  const auto oldest = Pulse::Clock::now() - limit;
  MutexLock lock(mutex_);
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    const auto pulse = entry->pulse.lock();
    if (!pulse) {
      entry = entries_.erase(entry);
      continue;
    }
    const auto since = pulse->since();
    if (since && *since < oldest) return entry->name;
    ++entry;
  }
  return std::nullopt;
}

}  // namespace erofs_oci
