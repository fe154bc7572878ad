// SPDX-License-Identifier: Apache-2.0
#include "registry/authorizer.h"

#include <algorithm>

#include "base/text.h"
#include "http/url.h"
#include "registry/redirect.h"
#include "registry/retry.h"

namespace erofs_oci::registry {
namespace {

// Part of its life that is left when a token is renewed, bounded for long lives.
constexpr int kRenewalPart = 4;
constexpr std::chrono::milliseconds kLongestRenewalLead = std::chrono::seconds(60);
// A renewal that failed is not tried again sooner, as long as the old token lasts.
constexpr std::chrono::seconds kRenewalPause{5};

bool may_take_get_instead(int status) {
  return status == 404 || status == 405 || status == 501;
}

}  // namespace

std::string Authorizer::server() const {
  return http::host_of(settings_.origin);
}

http::Task<Authorizer::Authorization> Authorizer::current(const http::AbortGroup* group) {
  const Clock::time_point now = Clock::now();
  if (expires_at_ && now >= std::min(*renew_at_, *expires_at_)) {
    const std::shared_ptr<http::Flight> flight = start_flight();
    if (now >= *expires_at_) co_await flight->wait(group);
  }
  Authorization authorization{value_, generation_};
  co_return authorization;
}

http::Task<void> Authorizer::renew(const http::Response& refusal, unsigned generation,
                                   const http::AbortGroup* group) {
  if (generation != generation_) co_return;  // another request has renewed it meanwhile
  std::optional<Challenge> basic, bearer;
  for (const std::string_view field : refusal.headers.find_all("WWW-Authenticate")) {
    for (Challenge& challenge : parse_challenges(field)) {
      if (challenge.scheme == "bearer" && challenge.find("realm") && !bearer) bearer = std::move(challenge);
      if (challenge.scheme == "basic" && !basic) basic = std::move(challenge);
    }
  }
  if (bearer) {
    bearer_ = bearer;
    const std::shared_ptr<http::Flight> flight = start_flight();
    co_await flight->wait(group);
  } else if (basic) {
    use_basic();
  } else {
    throw make_error(ErrorKind::denied, "{} refuses access and names no way in that is known here", server());
  }
}

void Authorizer::use_basic() {
  if (!settings_.credentials || settings_.credentials->username.empty()) {
    throw make_error(ErrorKind::denied, "{} asks for a user name and password; none is configured for it",
                     server());
  }
  if (basic_) {
    throw make_error(ErrorKind::denied, "{} refuses the password of user \"{}\"", server(),
                     printable(settings_.credentials->username));
  }
  value_ = basic_authorization(*settings_.credentials);
  basic_ = true;
  renew_at_.reset();
  expires_at_.reset();
  ++generation_;
}

std::shared_ptr<http::Flight> Authorizer::start_flight() {
  if (!flight_) {
    flight_ = std::make_shared<http::Flight>(engine_);
    engine_.spawn(fly(shared_from_this(), flight_));
  }
  return flight_;
}

// A task of its own: the request that began it may be aborted while others wait for the token.
http::Task<void> Authorizer::fly(std::shared_ptr<Authorizer> self, std::shared_ptr<http::Flight> flight) {
  const Clock::time_point asked = Clock::now();
  std::optional<Error> failure;
  try {
    const Token token = co_await self->fetch_token();
    self->value_ = Secret("Bearer " + token.value.reveal());
    self->expires_at_ = asked + token.lifetime;
    self->renew_at_ = *self->expires_at_ -
                      std::min(std::chrono::milliseconds(token.lifetime) / kRenewalPart, kLongestRenewalLead);
    ++self->generation_;
  } catch (const Error& error) {
    failure = error.within("getting a token for " + self->server());
    if (self->renew_at_) self->renew_at_ = Clock::now() + kRenewalPause;
  }
  self->flight_.reset();
  flight->land(std::move(failure));
}

http::Task<Token> Authorizer::fetch_token() {
  const http::Response response = co_await ask_token_server();
  if (response.ok()) co_return parse_token(response.body);
  if (response.status == 401 || response.status == 403) {
    throw make_error(
        ErrorKind::denied, "{} answered {}: {}", http::host_of(response.url), response.status,
        settings_.credentials ? "the credentials are refused" : "no credentials are configured for it");
  }
  throw failure_of(response).error;
}

http::Task<http::Response> Authorizer::ask_token_server() {
  const TokenQuery query = token_query(*bearer_, settings_.repository);
  if (http::is_https(settings_.origin) && !http::is_https(query.realm) && !settings_.connection.insecure) {
    throw make_error(ErrorKind::denied,
                     "it names a token server without https, {}; only an insecure registry may",
                     http::host_of(query.realm));
  }
  if (settings_.credentials && !settings_.credentials->identity_token.empty()) {
    http::Request request = oauth_request(query, *settings_.credentials);
    apply_settings(request);
    http::Response response = co_await engine_.perform(request);
    if (!may_take_get_instead(response.status) || settings_.credentials->username.empty()) co_return response;
  }
  http::Request request = token_request(query, settings_.credentials);
  apply_settings(request);
  co_return co_await follow_redirects(request);
}

void Authorizer::apply_settings(http::Request& request) const {
  request.connection = &settings_.connection;
  request.limits = settings_.limits;
}

http::Task<http::Response> Authorizer::follow_redirects(const http::Request& first) {
  http::Request request = first;
  for (int redirects = 0; redirects <= kMaxRedirects; ++redirects) {
    http::Response response = co_await engine_.perform(request);
    if (!is_redirect(response.status)) co_return response;
    request.url = redirect_target(response, settings_.connection.insecure);
    if (http::origin_of(request.url) != http::origin_of(first.url)) request.authorization.reset();
  }
  throw make_error(ErrorKind::unsupported, "{}: more than {} redirects", http::host_of(first.url),
                   kMaxRedirects);
}

}  // namespace erofs_oci::registry
