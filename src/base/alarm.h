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
  Alarm(std::chrono::steady_clock::time_point time, std::function<void()> ring)
      : thread_([this, time, ring = std::move(ring)](const std::stop_token& stop) {
          ::pthread_setname_np(::pthread_self(), "alarm");
          std::unique_lock lock(mutex_);
          wake_.wait_until(lock, stop, time, [] { return false; });
          if (!stop.stop_requested()) ring();
        }) {}

 private:
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::jthread thread_;  // last: joined before the rest goes
};

}  // namespace erofs_oci
