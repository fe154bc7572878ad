// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <curl/curl.h>

#include <string_view>

#include "base/error.h"

namespace erofs_oci::http {

/// What a transfer's failure means (libcurl-errors(3)): denied for an untrusted certificate, invalid for a
/// URL or CA file that cannot be used, else unavailable. `message` is curl's own, "" where it has none;
/// `os_errno` that of connect(2), or 0.
Error curl_error(CURLcode code, int os_errno, std::string_view host, const char* message);

}  // namespace erofs_oci::http
