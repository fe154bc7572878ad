// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/request.h"
#include "registry/credentials.h"
#include "registry/retry.h"

namespace erofs_oci::registry {

/// How a registry is reached, trusted and retried; as a definition's [registry] and [io] say.
struct AccessSettings {
  /// Takes https with any certificate, and plain http where https is not spoken.
  bool insecure = false;
  std::optional<std::string> ca_pem;  ///< certificates trusted beside the system's
  std::optional<std::string> proxy;   ///< as http::ConnectionSettings::proxy
  std::optional<Credentials> credentials;
  http::TimeLimits limits;  ///< of a single exchange
  RetrySettings retry;      ///< of opening: manifests, tokens, a blob's first bytes
};

/// A server that has a repository.
struct Endpoint {
  std::string url;  ///< scheme, host and port: "https://registry.example.com:5000"
};

/// The endpoints of `host`, a Reference's, in the order in which they are tried; the first that answers is
/// kept. Without `insecure` that is https alone, for loopback addresses too; with it, http after https.
/// docker.io is served by registry-1.docker.io.
std::vector<Endpoint> endpoints_of(std::string_view host, bool insecure);

}  // namespace erofs_oci::registry
