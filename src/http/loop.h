// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <curl/curl.h>

#include <chrono>
#include <coroutine>
#include <deque>
#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/mutex.h"
#include "http/admission.h"
#include "http/engine.h"
#include "http/suspension.h"

namespace erofs_oci::http {

class Transfer;

/// What the transfer thread runs: tasks, timers and curl's multi handle.
class Loop {
 public:
  explicit Loop(const EngineSettings& settings);
  ~Loop();

  /// The thread's body; returns after stop(), when the last task has ended.
  void run();

  // Thread-safe.
  void spawn(Task<void> task) EXCLUDES(mutex_);
  void stop() EXCLUDES(mutex_);

  // Transfer thread only.
  const EngineSettings& settings() const { return settings_; }
  void abort(const AbortGroup& group);
  void enqueue(Transfer& transfer);
  void withdraw(Transfer& transfer);
  Timers::iterator arm(std::chrono::steady_clock::time_point when, Timer& timer) {
    return timers_.emplace(when, &timer);
  }
  void disarm(Timers::iterator timer) { timers_.erase(timer); }

 private:
  friend class Suspension;
  struct Detached;

  Detached run_detached(Task<void> task);
  std::exception_ptr reason_to_fail(const AbortGroup* group) const;
  template <typename Predicate>
  void fail_where(Predicate predicate);

  void start_spawned() EXCLUDES(mutex_);
  bool is_done() EXCLUDES(mutex_);
  void resume_completed();
  void start_admitted();
  void collect_finished();
  void fire_timers();
  int milliseconds_to_next_timer() const;
  void wake();

  struct MultiCleanup {
    void operator()(CURLM* multi) const { ::curl_multi_cleanup(multi); }
  };

  const EngineSettings settings_;
  const std::unique_ptr<CURLM, MultiCleanup> multi_;
  Admission admission_;
  Timers timers_;
  std::unordered_set<Suspension*> suspended_;
  std::deque<Suspension*> completed_;
  size_t live_tasks_ = 0;
  bool stopping_ = false;  // as the transfer thread has seen it

  Mutex mutex_;
  std::vector<Task<void>> spawned_ GUARDED_BY(mutex_);
  bool stop_requested_ GUARDED_BY(mutex_) = false;
};

}  // namespace erofs_oci::http
