// SPDX-License-Identifier: Apache-2.0
#include "registry/token.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "http/url.h"

namespace erofs_oci::registry {
namespace {

constexpr uint64_t kLongestLifetimeSeconds = 24 * 3600;  // keeps sums of times far from overflow

}  // namespace

TokenQuery token_query(const Challenge& bearer, const std::string& repository) {
  return {bearer.find("realm").value_or(""), bearer.find("service").value_or(""),
          bearer.find("scope").value_or("repository:" + repository + ":pull")};
}

http::Request token_request(const TokenQuery& query, const std::optional<Credentials>& credentials) {
  http::Request request;
  http::Parameters parameters;
  if (!query.service.empty()) parameters.emplace_back("service", query.service);
  parameters.emplace_back("scope", query.scope);
  if (credentials && !credentials->username.empty()) {
    parameters.emplace_back("account", credentials->username);
    request.authorization = basic_authorization(*credentials);
  }
  request.url = http::with_parameters(query.realm, parameters);
  return request;
}

http::Request oauth_request(const TokenQuery& query, const Credentials& credentials) {
  http::Request request;
  request.method = http::Method::post;
  request.url = query.realm;
  request.form = Secret(http::encode_parameters({{"grant_type", "refresh_token"},
                                                 {"service", query.service},
                                                 {"client_id", "erofs-oci"},
                                                 {"scope", query.scope},
                                                 {"refresh_token", credentials.identity_token.reveal()}}));
  return request;
}

Token parse_token(std::string_view text) {
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  Token token;
  if (json.is_object()) {
    for (const char* key : {"token", "access_token"}) {
      const auto found = json.find(key);
      const bool usable = token.value.empty() && found != json.end() && found->is_string();
      if (usable) token.value = Secret(found->get<std::string>());
    }
    const auto lifetime = json.find("expires_in");
    if (lifetime != json.end() && lifetime->is_number_unsigned() && lifetime->get<uint64_t>() > 0) {
      token.lifetime = std::chrono::seconds(std::min(lifetime->get<uint64_t>(), kLongestLifetimeSeconds));
    }
  }
  if (token.value.empty()) throw Error(ErrorKind::corrupt, "the token server's answer holds no token");
  return token;
}

}  // namespace erofs_oci::registry
