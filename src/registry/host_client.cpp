// SPDX-License-Identifier: Apache-2.0
#include "registry/host_client.h"

#include "http/url.h"
#include "registry/redirect.h"

namespace erofs_oci::registry {
namespace {

http::ConnectionSettings connection_of(const AccessSettings& settings) {
  return {settings.ca_pem, settings.insecure, settings.proxy};
}

}  // namespace

HostClient::HostClient(http::Engine& engine, const Endpoint& endpoint, const Reference& reference,
                       const AccessSettings& settings)
    : engine_(engine),
      origin_(http::origin_of(endpoint.url)),
      base_url_(endpoint.url + "/v2/" + reference.path + "/"),
      connection_(connection_of(settings)),
      repository_(reference.path),
      limits_(settings.limits) {
  set_credentials(settings.credentials);
}

void HostClient::set_credentials(std::optional<Credentials> credentials) {
  has_credentials_ = credentials.has_value();
  authorizer_ = std::make_shared<Authorizer>(
      engine_, Authorizer::Settings{origin_, repository_, std::move(credentials), connection_, limits_});
}

// Beside what the registry says, people need to know whether it was asked with credentials at all.
void HostClient::throw_if_refused(const http::Response& response) const {
  if (response.status != 401 && response.status != 403) return;
  const Error error = failure_of(response).error;
  throw make_error(ErrorKind::denied, "{} ({})", error.what(),
                   has_credentials_ ? "with the credentials given" : "no credentials are configured for it");
}

http::Request HostClient::request_for(const Get& get) const {
  http::Request request;
  request.url = get.location.empty() ? base_url_ + get.path : get.location;
  if (!get.accept.empty()) request.headers.push_back({"Accept", get.accept});
  request.range = get.range;
  request.sink = get.sink;
  request.body_limit = get.body_limit;
  request.priority = get.priority;
  request.connection = &connection_;
  request.limits = get.limits;
  request.group = get.group;
  return request;
}

http::Task<Answer> HostClient::get(const Get& get) {
  http::Request request = request_for(get);
  bool renewed = false;
  const std::shared_ptr<Authorizer> authorizer = authorizer_;
  for (int redirects = 0; redirects <= kMaxRedirects;) {
    const bool own = http::origin_of(request.url) == origin_;
    Authorizer::Authorization authorization;
    if (own) authorization = co_await authorizer->current(get.group);
    request.authorization = authorization.value;
    if (get.counters != nullptr) ++get.counters->requests;
    Answer answer;
    answer.response = co_await engine_.perform(request);
    has_answered_ = has_answered_ || own;
    if (own && answer.response.status == 401 && !renewed) {
      renewed = true;
      co_await authorizer->renew(answer.response, authorization.generation, get.group);
    } else if (is_redirect(answer.response.status)) {
      request.url = redirect_target(answer.response, connection_.insecure);
      ++redirects;
    } else {
      if (own) throw_if_refused(answer.response);
      if (!own) answer.location = request.url;
      co_return answer;
    }
  }
  throw make_error(ErrorKind::unsupported, "{}: more than {} redirects", http::host_of(base_url_),
                   kMaxRedirects);
}

}  // namespace erofs_oci::registry
