// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <type_traits>
#include <variant>

#include "base/error.h"
#include "base/mutex.h"
#include "base/pulse.h"
#include "http/request.h"
#include "http/task.h"

namespace erofs_oci::http {

class Loop;
class Suspension;

struct EngineSettings {
  unsigned transfers_per_host = 16;  ///< at a time; over HTTP/2 they share connections
  unsigned transfers_total = 64;
  std::string user_agent = "erofs-oci/" EROFS_OCI_VERSION;
  Pulses* pulses = nullptr;  ///< where the transfer thread has one; they outlive the engine
};

/// Lets one thread wait for another.
class Latch {
 public:
  void set() EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    is_set_ = true;
    changed_.notify_all();  // under the lock: the one who waits may destroy this at once
  }
  void wait() EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    while (!is_set_) changed_.wait(mutex_);
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  bool is_set_ GUARDED_BY(mutex_) = false;
};

/// Awaits that can be failed together, by Engine::abort. Belongs to the transfer thread.
class AbortGroup {
 public:
  AbortGroup() = default;
  AbortGroup(const AbortGroup&) = delete;
  AbortGroup& operator=(const AbortGroup&) = delete;

 private:
  friend class Engine;
  friend class Loop;
  std::optional<Error> reason_;  // while set, every await of the group throws it
};

/// Does HTTP exchanges on one thread of its own, the transfer thread, on which all its tasks run: what only
/// tasks touch needs no lock. A task must not block; it co_awaits perform(), sleep_for() and Event::wait().
///
/// Destroying the engine fails every await with Error unavailable (ECANCELED) and returns when all tasks have
/// ended.
class Engine {
 public:
  explicit Engine(EngineSettings settings = {});
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// Starts `task` on the transfer thread. An exception that leaves it ends the process: a task handles its
  /// own errors. Thread-safe; never blocks. Tasks spawned by one thread start in that order.
  void spawn(Task<void> task);

  /// Runs `task` on the transfer thread and waits for its value or exception. Thread-safe, but not for the
  /// transfer thread itself.
  template <typename T>
  T run(Task<T> task);

  bool on_transfer_thread() const { return std::this_thread::get_id() == thread_.get_id(); }

  // The rest is for tasks only. What is passed by reference must outlive the await.

  /// One exchange; any status is a Response. Error unavailable: no answer, with the errno that fits best;
  /// denied: the server's certificate is not trusted; corrupt: an answer beyond its limits; invalid: the URL
  /// or the CA file. Messages name the host only, since a URL may be signed. Where slots are short,
  /// foreground goes first.
  Task<Response> perform(const Request& request);

  Task<void> sleep_for(std::chrono::milliseconds duration, const AbortGroup* group = nullptr);

  /// Fails every await of `group` with `reason`, those to come too, until readmit().
  void abort(AbortGroup& group, const Error& reason);
  void readmit(AbortGroup& group) { group.reason_.reset(); }

 private:
  friend class Event;

  // How a task ended, on the stack of the thread that waits for it: it is never shared, not even for a
  // moment.
  template <typename T>
  struct Outcome {
    std::optional<std::conditional_t<std::is_void_v<T>, std::monostate, T>> value;
    std::exception_ptr failure;
    Latch ended;
  };
  template <typename T>
  static Task<void> settle(Task<T> task, Outcome<T>& outcome);

  std::unique_ptr<Loop> loop_;
  std::thread thread_;
};

template <typename T>
T Engine::run(Task<T> task) {
  Outcome<T> outcome;
  spawn(settle(std::move(task), outcome));
  outcome.ended.wait();
  if (outcome.failure) std::rethrow_exception(std::move(outcome.failure));
  if constexpr (!std::is_void_v<T>) return *std::move(outcome.value);
}

template <typename T>
Task<void> Engine::settle(Task<T> task, Outcome<T>& outcome) {
  try {
    // What the task holds is released before the waiting thread goes on, and may go away.
    Task<T> running = std::move(task);
    if constexpr (std::is_void_v<T>) {
      co_await std::move(running);
    } else {
      outcome.value.emplace(co_await std::move(running));
    }
  } catch (...) {
    outcome.failure = std::current_exception();
  }
  outcome.ended.set();
}

}  // namespace erofs_oci::http
