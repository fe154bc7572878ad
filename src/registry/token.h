// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "base/secret.h"
#include "http/request.h"
#include "registry/challenge.h"
#include "registry/credentials.h"

namespace erofs_oci::registry {

/// What a registry's Bearer challenge says about the token that it wants.
struct TokenQuery {
  std::string realm;  ///< URL of the token server
  std::string service;
  std::string scope;
};

/// `bearer` has a realm; a scope that it does not name is that of pulling from `repository`.
TokenQuery token_query(const Challenge& bearer, const std::string& repository);

/// Asks for a token by GET, with the password where there is one (distribution: docs/spec/auth/token.md).
http::Request token_request(const TokenQuery& query, const std::optional<Credentials>& credentials);
/// Asks for one by POST with the identity token (distribution: docs/spec/auth/oauth.md).
http::Request oauth_request(const TokenQuery& query, const Credentials& credentials);

/// A bearer token.
struct Token {
  Secret value;
  std::chrono::seconds lifetime{60};  ///< the specification's default; a day at most
};

/// The token server's answer; Error corrupt for anything but an object with "token" or "access_token".
Token parse_token(std::string_view json);

}  // namespace erofs_oci::registry
