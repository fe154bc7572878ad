// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace erofs_oci::http {

/// Names and values of a query or a form.
using Parameters = std::vector<std::pair<std::string, std::string>>;

/// Scheme, lower-case host and port, with the scheme's default filled in: "https://example.com:443" (RFC
/// 6454, 4). A URL that is malformed, not http or https, or that carries a user name is Error invalid.
std::string origin_of(const std::string& url);

/// Only the host and port, as messages name a server; never a path or query, which may be signed.
std::string host_of(const std::string& url);

bool is_https(const std::string& url);

/// `reference`, as a Location field has it, made absolute against `base` (RFC 3986, 5). Errors as origin_of.
std::string resolve_url(const std::string& base, const std::string& reference);

/// "a=1&b=x%20y".
std::string encode_parameters(const Parameters& parameters);

/// `url` with `parameters` added to its query.
std::string with_parameters(const std::string& url, const Parameters& parameters);

}  // namespace erofs_oci::http
