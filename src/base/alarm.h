// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <pthread.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace erofs_oci {

/// Runs a function at a time, on a thread of its own, unless it is destroyed before. Destroying it waits for a function that
/// runs.
class Alarm {
 public:
  /// Rings once more `again` after each time; zero: once.
  Alarm(std::chrono::steady_clock::time_point time, std::function<void()> ring, std::chrono::milliseconds again = {})
      : thread_([this, time, ring = std::move(ring), again](const std::stop_token& stop) {
          ::pthread_setname_np(::pthread_self(), "alarm");
          std::unique_lock lock(mutex_);
          for (auto next = time;; next = std::chrono::steady_clock::now() + again) {
            wake_.wait_until(lock, stop, next, [] { return false; });
            if (stop.stop_requested()) return;
            ring();
            if (again == again.zero()) return;
          }
        }) {}

 private:
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::jthread thread_;  // last: joined before the rest goes
};

}  // namespace erofs_oci
