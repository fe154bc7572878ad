// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <exception>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <type_traits>

#include "base/error.h"
#include "http/request.h"
#include "http/task.h"

namespace erofs_oci::http {

class Loop;
class Suspension;

struct EngineSettings {
  unsigned transfers_per_host = 8;  ///< at a time; over HTTP/2 they share connections
  unsigned transfers_total = 64;
  std::string user_agent = "erofs-oci/" EROFS_OCI_VERSION;
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
  template <typename T>
  static Task<void> fulfil(Task<T> task, std::promise<T> promise);

  std::unique_ptr<Loop> loop_;
  std::thread thread_;
};

template <typename T>
T Engine::run(Task<T> task) {
  std::promise<T> promise;
  std::future<T> future = promise.get_future();
  spawn(fulfil(std::move(task), std::move(promise)));
  return future.get();
}

template <typename T>
Task<void> Engine::fulfil(Task<T> task, std::promise<T> promise) {
  // What the task holds is released before the waiting thread goes on, and may go away.
  std::exception_ptr failure;
  if constexpr (std::is_void_v<T>) {
    try {
      Task<T> running = std::move(task);
      co_await std::move(running);
    } catch (...) {
      failure = std::current_exception();
    }
    if (!failure) promise.set_value();
  } else {
    std::optional<T> value;
    try {
      Task<T> running = std::move(task);
      value.emplace(co_await std::move(running));
    } catch (...) {
      failure = std::current_exception();
    }
    if (!failure) promise.set_value(*std::move(value));
  }
  if (failure) promise.set_exception(std::move(failure));
}

}  // namespace erofs_oci::http
