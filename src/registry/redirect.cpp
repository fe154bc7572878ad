// SPDX-License-Identifier: Apache-2.0
#include "registry/redirect.h"

#include "base/error.h"
#include "http/url.h"

namespace erofs_oci::registry {

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

std::string redirect_target(const http::Response& response, bool insecure) {
  const auto location = response.headers.find("Location");
  if (!location) {
    throw make_error(ErrorKind::unsupported, "{} answered {} without a Location", http::host_of(response.url),
                     response.status);
  }
  const std::string target = with_context(fmt::format("redirect by {}", http::host_of(response.url)), [&] {
    return http::resolve_url(response.url, std::string(*location));
  });
  if (http::is_https(response.url) && !http::is_https(target) && !insecure) {
    throw make_error(ErrorKind::denied,
                     "{} redirects from https to plain http at {}; only an insecure registry may",
                     http::host_of(response.url), http::host_of(target));
  }
  return target;
}

}  // namespace erofs_oci::registry
