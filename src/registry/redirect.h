// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "http/request.h"

namespace erofs_oci::registry {

constexpr int kMaxRedirects = 5;

/// Whether the status sends a GET elsewhere (RFC 9110, 15.4).
bool is_redirect(int status);

/// Where the redirect `response` leads. Error denied: from https to plain http, unless `insecure`; invalid:
/// to no http URL at all; unsupported: nowhere.
std::string redirect_target(const http::Response& response, bool insecure);

}  // namespace erofs_oci::registry
