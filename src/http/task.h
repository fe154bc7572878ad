// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

namespace erofs_oci::http {

template <typename T>
class Task;

namespace detail {

/// What all promises share: who waits for the task, and the exception it ended with.
class TaskPromiseBase {
 public:
  std::suspend_always initial_suspend() const noexcept { return {}; }
  auto final_suspend() const noexcept {
    struct Resume {
      std::coroutine_handle<> waiter;
      bool await_ready() const noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<>) const noexcept { return waiter; }
      void await_resume() const noexcept {}
    };
    return Resume{waiter_};
  }
  void unhandled_exception() noexcept { failure_ = std::current_exception(); }
  void set_waiter(std::coroutine_handle<> waiter) { waiter_ = waiter; }

 protected:
  void rethrow_failure() const {
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  std::coroutine_handle<> waiter_;
  std::exception_ptr failure_;
};

template <typename T>
class TaskPromise : public TaskPromiseBase {
 public:
  Task<T> get_return_object();
  template <typename U>
  void return_value(U&& value) {
    value_.emplace(std::forward<U>(value));
  }
  T take() {
    rethrow_failure();
    return *std::move(value_);
  }

 private:
  std::optional<T> value_;
};

template <>
class TaskPromise<void> : public TaskPromiseBase {
 public:
  Task<void> get_return_object();
  void return_void() const noexcept {}
  void take() const { rethrow_failure(); }
};

}  // namespace detail

/// A coroutine that starts when it is awaited and gives its value, or its exception, to the one that awaits
/// it. Control passes by symmetric transfer, so that long chains do not grow the stack. Arguments taken by
/// reference must outlive the task. One thread at a time.
///
/// GCC 12 destroys some temporaries of a co_await expression twice: name aggregates and lambdas first, as in
/// `const Request request{…}; co_await engine.perform(request);`.
template <typename T = void>
class [[nodiscard]] Task {
 public:
  using promise_type = detail::TaskPromise<T>;

  Task(Task&& other) noexcept : coroutine_(std::exchange(other.coroutine_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    std::swap(coroutine_, other.coroutine_);
    return *this;
  }
  ~Task() {
    if (coroutine_) coroutine_.destroy();
  }

  auto operator co_await() && noexcept {
    struct Start {
      std::coroutine_handle<promise_type> coroutine;
      bool await_ready() const noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<> waiter) const noexcept {
        coroutine.promise().set_waiter(waiter);
        return coroutine;
      }
      T await_resume() const { return coroutine.promise().take(); }
    };
    return Start{coroutine_};
  }

 private:
  friend promise_type;
  explicit Task(std::coroutine_handle<promise_type> coroutine) : coroutine_(coroutine) {}
  std::coroutine_handle<promise_type> coroutine_;
};

namespace detail {

template <typename T>
Task<T> TaskPromise<T>::get_return_object() {
  return Task<T>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}
inline Task<void> TaskPromise<void>::get_return_object() {
  return Task<void>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}

}  // namespace detail
}  // namespace erofs_oci::http
