// SPDX-License-Identifier: Apache-2.0
#include "control/server.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "control/error_reply.h"

namespace erofs_oci {
namespace {

/// How long to leave new connections waiting when accept(2) has run out of descriptors or memory.
constexpr std::chrono::milliseconds kAcceptPause{100};

UniqueFd make_eventfd() {
  UniqueFd fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd) throw errno_error("eventfd");
  return fd;
}

}  // namespace

struct Server::Worker {
  Worker(Connection peer, bool is_privileged) : connection(std::move(peer)), privileged(is_privileged) {}
  Connection connection;
  const bool privileged;
  std::atomic<bool> finished{false};
  std::jthread thread;  // last: joined before the rest goes
};

Server::Server(UniqueFd listener, std::vector<Method> methods, uid_t owner, ServerLimits limits,
               LogLevel refusals)
    : listener_(std::move(listener)),
      wake_(make_eventfd()),
      methods_(std::move(methods)),
      owner_(owner),
      limits_(limits),
      refusals_(refusals) {
  // What poll() has announced may be gone by accept().
  const int flags = ::fcntl(listener_.get(), F_GETFL);
  if (flags < 0 || ::fcntl(listener_.get(), F_SETFL, flags | O_NONBLOCK) != 0)
    throw errno_error("control socket");
  acceptor_ = std::jthread([this] {
    ::pthread_setname_np(::pthread_self(), "acceptor");
    accept_until(stop_.get_token());
  });
}

Server::~Server() {
  stop();
}

void Server::stop() {
  if (!stop_.request_stop()) return;
  wake();
  acceptor_.join();
  std::list<Worker> workers;
  {
    MutexLock lock(mutex_);
    workers.swap(workers_);
  }
  for (const Worker& worker : workers) worker.connection.stop_reading();
}

void Server::accept_until(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    wait_for_events();
    join_finished();
    if (!stop.stop_requested()) accept_one(stop);
  }
}

void Server::wait_for_events() {
  pollfd entries[] = {{listener_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
  ::poll(entries, std::size(entries), -1);
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t drained = ::read(wake_.get(), &count, sizeof count);
}

void Server::accept_one(const std::stop_token& stop) {
  UniqueFd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!socket) {
    if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
      log(LogLevel::warning, fmt::format("{}; ignoring", errno_error("control socket, accept").what()));
      std::this_thread::sleep_for(kAcceptPause);
    }
    return;
  }
  Connection connection(std::move(socket));
  try {
    const uid_t uid = connection.peer().uid;
    start(std::move(connection), uid == 0 || uid == owner_, stop);
  } catch (const std::exception& error) {
    logf(LogLevel::warning, "control socket: {}; ignoring", error.what());
  }
}

void Server::start(Connection connection, bool privileged, const std::stop_token& stop) {
  if (!has_room(privileged)) {
    const Error busy(ErrorKind::busy, "too many connections to the daemon: try again later");
    connection.send(failed_reply(busy), {}, deadline_in(std::chrono::milliseconds(0)));
    return;
  }
  std::list<Worker> one;
  Worker& worker = one.emplace_back(std::move(connection), privileged);
  worker.thread = std::jthread([this, &worker, stop] { serve(worker, stop); });
  MutexLock lock(mutex_);
  workers_.splice(workers_.end(), one);
}

void Server::serve(Worker& worker, const std::stop_token& stop) {
  ::pthread_setname_np(::pthread_self(), "control");
  try {
    Session(worker.connection, methods_, limits_, worker.privileged, refusals_).run(stop);
  } catch (const std::exception& error) {
    logf(LogLevel::debug, "control connection: {}; closing it", error.what());
  }
  worker.finished = true;
  wake();
}

bool Server::has_room(bool privileged) {
  MutexLock lock(mutex_);
  const auto unprivileged =
      std::count_if(workers_.begin(), workers_.end(), [](const Worker& w) { return !w.privileged; });
  return workers_.size() < limits_.connections &&
         (privileged || static_cast<size_t>(unprivileged) < limits_.unprivileged_connections);
}

void Server::join_finished() {
  std::list<Worker> finished;  // outlives the lock, so that nobody is joined under it
  MutexLock lock(mutex_);
  for (auto worker = workers_.begin(); worker != workers_.end();) {
    const auto next = std::next(worker);
    if (worker->finished) finished.splice(finished.end(), workers_, worker);
    worker = next;
  }
}

void Server::wake() const {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(wake_.get(), &one, sizeof one);
}

}  // namespace erofs_oci
