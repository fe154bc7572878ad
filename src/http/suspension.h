// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <coroutine>
#include <exception>
#include <map>

#include "http/engine.h"

namespace erofs_oci::http {

/// A coroutine that waits inside the loop: for a transfer, a time or an event. Lives in the frame of the
/// waiting coroutine; resumed exactly once, from the loop's top level, never from inside a callback of curl.
class Suspension {
 public:
  Suspension(Loop& loop, const AbortGroup* group) : loop_(loop), group_(group) {}
  Suspension(const Suspension&) = delete;
  Suspension& operator=(const Suspension&) = delete;
  virtual ~Suspension() = default;

  bool await_ready();
  void await_suspend(std::coroutine_handle<> waiter);
  void await_resume() const {
    if (failure_) std::rethrow_exception(failure_);
  }

 protected:
  /// Takes its place in the loop (a queue, a timer).
  virtual void enter() = 0;
  /// Gives that place up; follows enter(), unless complete() came before.
  virtual void leave() = 0;
  /// What was waited for has come, or failed.
  void complete(std::exception_ptr failure = nullptr);

  Loop& loop_;

 private:
  friend class Loop;
  const AbortGroup* group_;
  std::coroutine_handle<> waiter_;
  std::exception_ptr failure_;
};

/// Something that happens at a time.
class Timer {
 public:
  virtual void expired() = 0;

 protected:
  ~Timer() = default;
};
using Timers = std::multimap<std::chrono::steady_clock::time_point, Timer*>;

}  // namespace erofs_oci::http
