// SPDX-License-Identifier: Apache-2.0
#include "http/curl_error.h"

#include "base/text.h"

namespace erofs_oci::http {
namespace {

ErrorKind kind_of(CURLcode result) {
  switch (result) {
    case CURLE_PEER_FAILED_VERIFICATION:
      return ErrorKind::denied;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_LOGIN_DENIED:  // a user name in the URL
      return ErrorKind::invalid;
    case CURLE_OUT_OF_MEMORY:
      return ErrorKind::no_space;
    default:
      return ErrorKind::unavailable;
  }
}

int errno_of(CURLcode result, int os_errno) {
  switch (result) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
      return EHOSTUNREACH;
    case CURLE_OPERATION_TIMEDOUT:
      return ETIMEDOUT;
    case CURLE_COULDNT_CONNECT:
      return os_errno != 0 ? os_errno : ECONNREFUSED;
    default:
      return EIO;
  }
}

/// curl's sentence without the time that it took, so that the same failure is told in the same words.
std::string without_time(std::string reason) {
  const size_t begin = reason.find(" after ");
  const size_t end = reason.find(" ms", begin);
  const bool is_time =
      end != std::string::npos && parse_u64(std::string_view(reason).substr(begin + 7, end - begin - 7));
  return is_time ? reason.erase(begin, end + 3 - begin) : reason;
}

/// As OpenSSL puts it, which has no code of its own in curl.
bool speaks_no_tls(CURLcode code, std::string_view reason) {
  return code == CURLE_SSL_CONNECT_ERROR && (reason.find("wrong version number") != std::string_view::npos ||
                                             reason.find("packet length too long") != std::string_view::npos);
}

}  // namespace

Error curl_error(CURLcode code, int os_errno, std::string_view host, const char* message) {
  const char* reason = *message != '\0' ? message : ::curl_easy_strerror(code);
  if (speaks_no_tls(code, reason))
    return Error(ErrorKind::unavailable, EPROTO,
                 fmt::format("{}: answers HTTPS with something else ({}); if it speaks plain HTTP, "
                             "registry.insecure = true allows that",
                             host, printable(without_time(reason))));
  return Error(kind_of(code), errno_of(code, os_errno),
               fmt::format("{}: {}", host, printable(without_time(reason))));
}

}  // namespace erofs_oci::http
