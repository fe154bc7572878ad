// SPDX-License-Identifier: Apache-2.0
#include "http/engine.h"

#include <pthread.h>

#include <cassert>
#include <csignal>

#include "http/loop.h"
#include "http/transfer.h"

namespace erofs_oci::http {
namespace {

class Sleep final : public Suspension, private Timer {
 public:
  Sleep(Loop& loop, std::chrono::milliseconds duration, const AbortGroup* group)
      : Suspension(loop, group), until_(std::chrono::steady_clock::now() + duration) {}

 private:
  void enter() override { timer_ = loop_.arm(until_, *this); }
  void leave() override { loop_.disarm(timer_); }
  void expired() override { complete(); }

  const std::chrono::steady_clock::time_point until_;
  Timers::iterator timer_;
};

/// Blocks all signals in the calling thread for a scope: a thread started in it is never chosen for one, and
/// SIGPIPE cannot end the process.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_{};
};

}  // namespace

Engine::Engine(EngineSettings settings) : loop_(std::make_unique<Loop>(settings)) {
  const SignalsBlocked blocked;
  thread_ = std::thread([loop = loop_.get()] {
    ::pthread_setname_np(::pthread_self(), "transfer");
    loop->run();
  });
}

Engine::~Engine() {
  assert(!on_transfer_thread());
  loop_->stop();
  thread_.join();
}

void Engine::spawn(Task<void> task) {
  loop_->spawn(std::move(task));
}

Task<Response> Engine::perform(const Request& request) {
  assert(on_transfer_thread());
  Transfer transfer(*loop_, request);
  co_await transfer;
  co_return transfer.take_response();
}

Task<void> Engine::sleep_for(std::chrono::milliseconds duration, const AbortGroup* group) {
  Sleep sleep(*loop_, duration, group);
  co_await sleep;
}

void Engine::abort(AbortGroup& group, const Error& reason) {
  group.reason_ = reason;
  loop_->abort(group);
}

}  // namespace erofs_oci::http
