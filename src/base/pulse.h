// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <list>
#include <memory>
#include <optional>
#include <string>

#include "base/mutex.h"

namespace erofs_oci {

/// Whether one thread gets on with its work: it tells when it begins some and when it waits for more. Those calls are its
/// own; since() is anybody's.
class Pulse {
 public:
  using Clock = std::chrono::steady_clock;

  /// Work begins, or the next piece of it.
  void work() { since_.store(Clock::now().time_since_epoch().count(), std::memory_order_relaxed); }
  /// Waits for work, for however long.
  void rest() { since_.store(kResting, std::memory_order_relaxed); }

  /// When the piece of work began that it is at; nullopt while it waits.
  std::optional<Clock::time_point> since() const {
    const Clock::rep since = since_.load(std::memory_order_relaxed);
    if (since == kResting) return std::nullopt;
    return Clock::time_point(Clock::duration(since));
  }

 private:
  static constexpr Clock::rep kResting = -1;
  std::atomic<Clock::rep> since_{kResting};
};

/// The pulses of the threads that serve, for whoever must know that all of them go on. Thread-safe.
class Pulses {
 public:
  /// Feels a thread's pulse until the pointer is dropped, which must be before this object goes. `name` is the thread's.
  std::shared_ptr<Pulse> add(std::string name) EXCLUDES(mutex_);

  /// A thread that has been at one piece of work for longer than `limit`: its name.
  std::optional<std::string> find_stuck(std::chrono::milliseconds limit) const EXCLUDES(mutex_);

 private:
  struct Entry {
    std::string name;
    std::weak_ptr<const Pulse> pulse;
  };
  mutable Mutex mutex_;
  mutable std::list<Entry> entries_ GUARDED_BY(mutex_);
};

/// The pulse of a loop that may be without one: those of tests and of single commands.
class LoopPulse {
 public:
  LoopPulse(Pulses* pulses, const char* name) : pulse_(pulses != nullptr ? pulses->add(name) : nullptr) {}
  void work() const {
    if (pulse_) pulse_->work();
  }
  void rest() const {
    if (pulse_) pulse_->rest();
  }

 private:
  std::shared_ptr<Pulse> pulse_;
};

}  // namespace erofs_oci
