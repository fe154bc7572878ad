// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <stop_token>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "control/method.h"

namespace erofs_oci {

/// How long a connection may take, and how many there may be.
struct ServerLimits {
  std::chrono::milliseconds idle = std::chrono::minutes(2);      ///< between two calls
  std::chrono::milliseconds message = std::chrono::seconds(10);  ///< from a call's first byte to its last
  std::chrono::milliseconds reply = std::chrono::seconds(10);    ///< until the caller has read a reply
  size_t connections = 256;
  size_t unprivileged_connections = 64;  ///< of them, so that others cannot keep root out
};

/// The conversation on one connection: calls are answered in their order. One thread at a time.
class Session {
 public:
  /// `methods` and `limits` outlive the session. `privileged`: the peer may call what is for the owner.
  /// `refusals` is the level at which calls that fail are logged.
  Session(Connection& connection, const std::vector<Method>& methods, const ServerLimits& limits,
          bool privileged, LogLevel refusals)
      : connection_(connection),
        methods_(methods),
        limits_(limits),
        privileged_(privileged),
        refusals_(refusals) {}

  /// Does what handlers have left for the end.
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// Until the peer leaves, is idle for too long, or `stop` is requested. Throws Error where the peer breaks
  /// the protocol or does not read: the connection must be closed.
  void run(const std::stop_token& stop);

 private:
  struct Request;

  void answer(Message message, const std::stop_token& stop);
  nlohmann::json reply_to(Request& request, const std::stop_token& stop);
  nlohmann::json reply_of_service(const Request& request) const;
  nlohmann::json run_handler(const Method& method, Request& request, const std::stop_token& stop);
  void log_refusal(const Method& method, const Call& call, const Error& error) const;
  void send(const nlohmann::json& reply);

  Connection& connection_;
  const std::vector<Method>& methods_;
  const ServerLimits& limits_;
  const bool privileged_;
  const LogLevel refusals_;
  std::vector<std::function<void()>> endings_;
};

}  // namespace erofs_oci
