// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <atomic>
#include <list>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "control/method.h"
#include "control/session.h"

namespace erofs_oci {

/// Answers calls on a listening AF_UNIX socket: one thread accepts, and one a connection runs the handlers.
/// Thread-safe.
class Server {
 public:
  /// Serves from now on. `listener` is listening already, made by the caller or handed over by the service
  /// manager, which keeps it in use: it is closed but never shut down. `owner` is the uid that may call
  /// everything, beside 0. `refusals` is the level at which calls that fail are logged; the caller is told
  /// anyway.
  Server(UniqueFd listener, std::vector<Method> methods, uid_t owner = 0, ServerLimits limits = {},
         LogLevel refusals = LogLevel::error);
  /// stop()
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Accepts and reads no more, lets handlers answer what they have begun (their stop token is set), closes
  /// all. A second call does nothing. Not to be called by a handler.
  void stop();

 private:
  struct Worker;

  void accept_until(const std::stop_token& stop);
  void wait_for_events();
  void accept_one(const std::stop_token& stop);
  void start(Connection connection, bool privileged, const std::stop_token& stop);
  void serve(Worker& worker, const std::stop_token& stop);
  bool has_room(bool privileged);
  void join_finished();
  void wake() const;

  const UniqueFd listener_;
  const UniqueFd wake_;  ///< eventfd: a worker has finished, or stop()
  const std::vector<Method> methods_;
  const uid_t owner_;
  const ServerLimits limits_;
  const LogLevel refusals_;
  std::stop_source stop_;
  Mutex mutex_;
  std::list<Worker> workers_ GUARDED_BY(mutex_);
  std::jthread acceptor_;
};

}  // namespace erofs_oci
