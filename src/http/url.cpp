// SPDX-License-Identifier: Apache-2.0
#include "http/url.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <new>

#include "base/error.h"
#include "base/text.h"

namespace erofs_oci::http {
namespace {

struct Free {
  void operator()(CURLU* url) const { ::curl_url_cleanup(url); }
  void operator()(char* text) const { ::curl_free(text); }
};
using UrlHandle = std::unique_ptr<CURLU, Free>;

// A URL may be signed or hold a password: the message gives only the reason.
void check(CURLUcode code) {
  if (code != CURLUE_OK) throw make_error(ErrorKind::invalid, "malformed URL: {}", ::curl_url_strerror(code));
}

UrlHandle parse(const std::string& text) {
  UrlHandle url(::curl_url());
  if (!url) throw std::bad_alloc();
  check(::curl_url_set(url.get(), CURLUPART_URL, text.c_str(), CURLU_DISALLOW_USER));
  return url;
}

std::string part(const UrlHandle& url, CURLUPart which, unsigned flags = 0) {
  char* text = nullptr;
  check(::curl_url_get(url.get(), which, &text, flags));
  return std::unique_ptr<char, Free>(text).get();
}

std::string scheme_of(const UrlHandle& url) {
  const std::string scheme = part(url, CURLUPART_SCHEME);
  if (scheme != "https" && scheme != "http") {
    throw make_error(ErrorKind::invalid, "URL has scheme {}; only http and https are used",
                     printable(scheme));
  }
  return scheme;
}

std::string authority_of(const UrlHandle& url) {
  std::string host = part(url, CURLUPART_HOST);
  std::transform(host.begin(), host.end(), host.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return host + ":" + part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
}

std::string percent_encode(std::string_view text) {
  constexpr std::string_view kUnreserved = "-._~";  // and letters and digits (RFC 3986, 2.3)
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       kUnreserved.find(c) != std::string_view::npos;
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

}  // namespace

std::string origin_of(const std::string& url) {
  const UrlHandle parsed = parse(url);
  return scheme_of(parsed) + "://" + authority_of(parsed);
}

std::string host_of(const std::string& url) {
  return authority_of(parse(url));
}

bool is_https(const std::string& url) {
  return scheme_of(parse(url)) == "https";
}

std::string resolve_url(const std::string& base, const std::string& reference) {
  const UrlHandle url = parse(base);
  // Setting a whole URL on a handle that has one resolves a relative reference against it.
  check(::curl_url_set(url.get(), CURLUPART_URL, reference.c_str(), CURLU_DISALLOW_USER));
  scheme_of(url);
  return part(url, CURLUPART_URL);
}

std::string encode_parameters(const Parameters& parameters) {
  std::string out;
  for (const auto& [name, value] : parameters) {
    if (!out.empty()) out += '&';
    out += percent_encode(name) + "=" + percent_encode(value);
  }
  return out;
}

std::string with_parameters(const std::string& url, const Parameters& parameters) {
  const std::string encoded = encode_parameters(parameters);
  if (encoded.empty()) return url;
  // Not by curl, which would write the percent-encodings of `url` anew.
  return url + (url.find('?') == std::string::npos ? '?' : '&') + encoded;
}

}  // namespace erofs_oci::http
