// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <span>
#include <string_view>

#include "control/connection.h"

namespace erofs_oci {

/// Calls methods of kInterface. A reply that is an error is thrown as the Error that the daemon met, or as
/// FilesWanted. After an Error of kind unavailable or corrupt the connection is of no further use. One thread
/// at a time.
class Client {
 public:
  /// Connects to the socket at `path`; Error unavailable where nobody listens, with ENOENT or ECONNREFUSED,
  /// or accepts until `deadline`, with ETIMEDOUT.
  Client(const std::filesystem::path& path, Deadline deadline);
  explicit Client(UniqueFd socket) : connection_(std::move(socket)) {}

  /// As Connection::set_interrupt: a call that waits then throws interruption(), and the connection is of no
  /// further use.
  void set_interrupt(int fd) { connection_.set_interrupt(fd); }

  /// The parameters of the reply to `method` ("Status"). The daemon gets copies of `fds`.
  nlohmann::json call(std::string_view method, nlohmann::json parameters, std::span<const int> fds,
                      Deadline deadline);

  /// The longest wait for a reply of a stream.
  struct Silence {
    std::chrono::milliseconds first;
    std::chrono::milliseconds next;
  };
  /// As call(), for a stream of replies: `on_progress` gets the parameters of all but the last, which is
  /// returned. An exception of `on_progress` leaves the connection unusable.
  nlohmann::json call_more(std::string_view method, nlohmann::json parameters, std::span<const int> fds,
                           Silence silence, const std::function<void(const nlohmann::json&)>& on_progress);
  nlohmann::json call_more(std::string_view method, nlohmann::json parameters, std::span<const int> fds,
                           std::chrono::milliseconds silence,
                           const std::function<void(const nlohmann::json&)>& on_progress) {
    return call_more(method, std::move(parameters), fds, Silence{silence, silence}, on_progress);
  }

  /// Sends a call that is not answered.
  void oneway(std::string_view method, nlohmann::json parameters, std::span<const int> fds,
              Deadline deadline);

  /// Who listens at the other end.
  PeerCredentials peer() const { return connection_.peer(); }

 private:
  struct Reply;
  void send(const nlohmann::json& body, std::span<const int> fds, Deadline deadline);
  Reply receive(Deadline deadline);

  Connection connection_;
};

}  // namespace erofs_oci
