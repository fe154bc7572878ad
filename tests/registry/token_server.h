// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>

#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "http/loopback_server.h"

namespace erofs_oci::test {

/// Hands out bearer tokens (distribution: docs/spec/auth/token.md) and knows which of them are good.
class TokenServer {
 public:
  using Clock = std::chrono::steady_clock;
  using Interceptor = std::function<std::optional<Reply>(const SeenRequest&)>;

  /// Tokens say that they last `stated`, and are good for `really`.
  TokenServer(std::chrono::seconds stated, std::chrono::milliseconds really)
      : stated_(stated),
        really_(really),
        server_([this](const SeenRequest& request) { return answer(request); }) {}

  LoopbackServer& server() { return server_; }
  void intercept(Interceptor interceptor) {
    const std::lock_guard lock(mutex_);
    interceptor_ = std::move(interceptor);
  }

  /// What a registry that trusts this server answers to a request without a good token; none where it has
  /// one.
  std::optional<Reply> refuse(const SeenRequest& request) {
    const std::string field = request.header("Authorization");
    if (field.starts_with("Bearer ") && is_good(field.substr(7))) return std::nullopt;
    return Reply::text(401, R"({"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]})")
        .with("WWW-Authenticate",
              fmt::format(
                  R"(Bearer realm="{}",service="registry.example.com",scope="repository:team/tools:pull")",
                  server_.url("/token")));
  }

 private:
  bool is_good(const std::string& token) {
    const std::lock_guard lock(mutex_);
    const auto found = tokens_.find(token);
    return found != tokens_.end() && Clock::now() < found->second + really_;
  }
  Reply answer(const SeenRequest& request) {
    const std::lock_guard lock(mutex_);
    if (interceptor_) {
      if (auto reply = interceptor_(request)) return *std::move(reply);
    }
    const std::string token = fmt::format("token-{}", tokens_.size());
    tokens_[token] = Clock::now();
    return Reply::text(200, fmt::format(R"({{"token":"{}","expires_in":{}}})", token, stated_.count()));
  }

  const std::chrono::seconds stated_;
  const std::chrono::milliseconds really_;
  std::mutex mutex_;
  Interceptor interceptor_;
  std::map<std::string, Clock::time_point> tokens_;
  LoopbackServer server_;
};

}  // namespace erofs_oci::test
