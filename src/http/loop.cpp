// SPDX-License-Identifier: Apache-2.0
#include "http/loop.h"

#include <cassert>
#include <new>

#include "http/transfer.h"

namespace erofs_oci::http {
namespace {

using Clock = std::chrono::steady_clock;

// curl's global state is set up once, by whichever engine is first, and lasts as long as the process.
CURLM* make_multi() {
  static const CURLcode initialised = ::curl_global_init(CURL_GLOBAL_DEFAULT);
  if (initialised != CURLE_OK)
    throw make_error(ErrorKind::system, "curl: {}", ::curl_easy_strerror(initialised));
  CURLM* multi = ::curl_multi_init();
  if (multi == nullptr) throw std::bad_alloc();
  return multi;
}

void check(CURLMcode code) {
  if (code != CURLM_OK) throw make_error(ErrorKind::system, "curl: {}", ::curl_multi_strerror(code));
}

}  // namespace

bool Suspension::await_ready() {
  failure_ = loop_.reason_to_fail(group_);
  return failure_ != nullptr;
}

void Suspension::await_suspend(std::coroutine_handle<> waiter) {
  waiter_ = waiter;
  loop_.suspended_.insert(this);
  enter();
}

void Suspension::complete(std::exception_ptr failure) {
  failure_ = std::move(failure);
  loop_.suspended_.erase(this);
  loop_.completed_.push_back(this);
}

// The root of a spawned task: runs at once and releases itself at its end.
struct Loop::Detached {
  struct promise_type {
    Detached get_return_object() const noexcept { return {}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }
  };
};

Loop::Detached Loop::run_detached(Task<void> task) {
  ++live_tasks_;
  co_await std::move(task);
  --live_tasks_;
}

Loop::Loop(const EngineSettings& settings)
    : settings_(settings),
      multi_(make_multi()),
      admission_(settings.transfers_per_host, settings.transfers_total) {
  check(::curl_multi_setopt(multi_.get(), CURLMOPT_MAXCONNECTS, static_cast<long>(settings.transfers_total)));
}

Loop::~Loop() {
  assert(suspended_.empty() && live_tasks_ == 0);
}

void Loop::run() {
  const LoopPulse pulse(settings_.pulses, "transfer");
  while (true) {
    pulse.work();
    start_spawned();
    resume_completed();
    if (is_done()) return;
    start_admitted();
    int running = 0;
    check(::curl_multi_perform(multi_.get(), &running));
    collect_finished();
    fire_timers();
    if (completed_.empty()) {
      pulse.rest();
      check(::curl_multi_poll(multi_.get(), nullptr, 0, milliseconds_to_next_timer(), nullptr));
    }
  }
}

void Loop::spawn(Task<void> task) {
  {
    const MutexLock lock(mutex_);
    spawned_.push_back(std::move(task));
  }
  wake();
}

void Loop::stop() {
  {
    const MutexLock lock(mutex_);
    stop_requested_ = true;
  }
  wake();
}

void Loop::wake() {
  ::curl_multi_wakeup(multi_.get());
}

void Loop::start_spawned() {
  std::vector<Task<void>> tasks;
  bool stop = false;
  {
    const MutexLock lock(mutex_);
    tasks.swap(spawned_);
    stop = stop_requested_;
  }
  if (stop && !stopping_) {
    stopping_ = true;
    fail_where([](const Suspension&) { return true; });
  }
  for (Task<void>& task : tasks) run_detached(std::move(task));
}

bool Loop::is_done() {
  if (!stopping_ || live_tasks_ != 0) return false;
  const MutexLock lock(mutex_);
  return spawned_.empty();
}

void Loop::resume_completed() {
  while (!completed_.empty()) {
    Suspension* suspension = completed_.front();
    completed_.pop_front();
    suspension->waiter_.resume();
  }
}

std::exception_ptr Loop::reason_to_fail(const AbortGroup* group) const {
  if (stopping_) {
    return std::make_exception_ptr(Error(ErrorKind::unavailable, ECANCELED, "cancelled: shutting down"));
  }
  if (group != nullptr && group->reason_) return std::make_exception_ptr(*group->reason_);
  return nullptr;
}

template <typename Predicate>
void Loop::fail_where(Predicate predicate) {
  std::vector<Suspension*> failing;
  for (Suspension* suspension : suspended_) {
    if (predicate(*suspension)) failing.push_back(suspension);
  }
  for (Suspension* suspension : failing) {
    suspension->leave();
    suspension->complete(reason_to_fail(suspension->group_));
  }
}

void Loop::abort(const AbortGroup& group) {
  fail_where([&](const Suspension& suspension) { return suspension.group_ == &group; });
}

void Loop::enqueue(Transfer& transfer) {
  admission_.enqueue(transfer.ticket());
}

void Loop::withdraw(Transfer& transfer) {
  if (transfer.active()) {
    transfer.stop_watching();
    ::curl_multi_remove_handle(multi_.get(), transfer.handle());
    admission_.release(transfer.ticket());
  } else {
    admission_.withdraw(transfer.ticket());
  }
}

void Loop::start_admitted() {
  while (Admission::Ticket* ticket = admission_.next()) {
    Transfer& transfer = Transfer::from_ticket(*ticket);
    try {
      check(::curl_multi_add_handle(multi_.get(), transfer.prepare()));
      transfer.start_watching();
    } catch (...) {
      admission_.release(*ticket);
      transfer.fail(std::current_exception());
    }
  }
}

void Loop::collect_finished() {
  int left = 0;
  while (const CURLMsg* message = ::curl_multi_info_read(multi_.get(), &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode result = message->data.result;  // removing the handle frees the message
    Transfer* transfer = nullptr;
    ::curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
    withdraw(*transfer);
    transfer->finish(result);
  }
}

void Loop::fire_timers() {
  const Clock::time_point now = Clock::now();
  while (!timers_.empty() && timers_.begin()->first <= now) {
    Timer* timer = timers_.begin()->second;
    timers_.erase(timers_.begin());
    timer->expired();
  }
}

int Loop::milliseconds_to_next_timer() const {
  constexpr auto kLongest = std::chrono::milliseconds(std::chrono::hours(1));
  if (timers_.empty()) return static_cast<int>(kLongest.count());
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(timers_.begin()->first - Clock::now());
  return static_cast<int>(std::clamp(left, std::chrono::milliseconds(0), kLongest).count());
}

}  // namespace erofs_oci::http
