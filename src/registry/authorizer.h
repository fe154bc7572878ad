// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "base/secret.h"
#include "http/engine.h"
#include "http/flight.h"
#include "registry/challenge.h"
#include "registry/credentials.h"
#include "registry/token.h"

namespace erofs_oci::registry {

/// Finds out how one server wants to be asked for one repository, and keeps the answer fresh: a token is
/// renewed in the background ahead of its end, and at once when the server refuses it. However many requests
/// need a token, one is fetched. Belongs to the transfer thread, and to a shared_ptr, as a renewal outlives
/// the request that began it.
class Authorizer : public std::enable_shared_from_this<Authorizer> {
 public:
  struct Settings {
    std::string origin;      ///< of the server; its challenges are believed
    std::string repository;  ///< path, for the scope where a challenge names none
    std::optional<Credentials> credentials;
    http::ConnectionSettings connection;
    http::TimeLimits limits;
  };
  struct Authorization {
    std::optional<Secret> value;  ///< of the Authorization field; none before a challenge came
    unsigned generation = 0;
  };

  Authorizer(http::Engine& engine, Settings settings) : engine_(engine), settings_(std::move(settings)) {}

  /// What to send now. Waits for a token only where the last one has expired.
  http::Task<Authorization> current(const http::AbortGroup* group);

  /// Takes a 401 that came for the authorization `generation`; afterwards current() has another. Error
  /// denied: there is no other; unavailable: the token server did not answer.
  http::Task<void> renew(const http::Response& refusal, unsigned generation, const http::AbortGroup* group);

 private:
  using Clock = std::chrono::steady_clock;

  std::shared_ptr<http::Flight> start_flight();
  static http::Task<void> fly(std::shared_ptr<Authorizer> self, std::shared_ptr<http::Flight> flight);
  http::Task<Token> fetch_token();
  http::Task<http::Response> ask_token_server();
  http::Task<http::Response> follow_redirects(const http::Request& first);
  void apply_settings(http::Request& request) const;
  void use_basic();
  std::string server() const;

  http::Engine& engine_;
  const Settings settings_;
  std::optional<Challenge> bearer_;
  std::optional<Secret> value_;
  bool basic_ = false;                                      // value_ is the password
  std::optional<Clock::time_point> renew_at_, expires_at_;  // both or none
  unsigned generation_ = 0;
  std::shared_ptr<http::Flight> flight_;  // the fetch that is under way
};

}  // namespace erofs_oci::registry
