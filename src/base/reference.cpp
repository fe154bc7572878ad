// SPDX-License-Identifier: Apache-2.0
#include "base/reference.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace erofs_oci {
namespace {

constexpr std::string_view kDefaultHost = "docker.io";
constexpr size_t kLongestPath = 255;  // of host and path together
constexpr size_t kLongestTag = 128;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}
bool is_alphanumeric(char c) {
  return is_digit(c) || is_lower(c) || is_upper(c);
}

template <typename Predicate>
bool all(std::string_view text, Predicate predicate) {
  return std::all_of(text.begin(), text.end(), predicate);
}

// domain-component: letters, digits and inner hyphens.
bool is_domain(std::string_view domain) {
  while (true) {
    const size_t dot = domain.find('.');
    const std::string_view part = domain.substr(0, dot);
    if (part.empty() || !is_alphanumeric(part.front()) || !is_alphanumeric(part.back())) return false;
    if (!all(part, [](char c) { return is_alphanumeric(c) || c == '-'; })) return false;
    if (dot == std::string_view::npos) return true;
    domain.remove_prefix(dot + 1);
  }
}

bool is_ipv6_literal(std::string_view text) {
  return text.size() > 4 && text.starts_with('[') && text.ends_with(']') &&
         all(text.substr(1, text.size() - 2), [](char c) {
           return is_digit(c) || c == ':' || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
         });
}

bool is_host(std::string_view host) {
  const size_t bracket = host.rfind(']');
  const size_t colon = host.find(':', bracket == std::string_view::npos ? 0 : bracket);
  const std::string_view name = host.substr(0, colon);
  if (colon != std::string_view::npos) {
    const auto port = parse_u64(host.substr(colon + 1));
    if (!port || *port == 0 || *port > 65535) return false;
  }
  return is_ipv6_literal(name) || is_domain(name);
}

// path-component: runs of lower-case letters and digits, joined by '.', '_', '__' or any number of '-'.
bool is_path_component(std::string_view part) {
  const auto is_word = [](char c) { return is_lower(c) || is_digit(c); };
  if (part.empty() || !is_word(part.front()) || !is_word(part.back())) return false;
  for (size_t i = 0; i < part.size();) {
    const size_t end =
        std::find_if(part.begin() + static_cast<ptrdiff_t>(i), part.end(), is_word) - part.begin();
    const std::string_view separator = part.substr(i, end - i);
    const bool dashes = all(separator, [](char c) { return c == '-'; });  // true where there is none, too
    if (!dashes && separator != "." && separator != "_" && separator != "__") return false;
    i = end + 1;
  }
  return true;
}

bool is_path(std::string_view path) {
  while (true) {
    const size_t slash = path.find('/');
    if (!is_path_component(path.substr(0, slash))) return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
}

bool is_tag(std::string_view tag) {
  const auto is_word = [](char c) { return is_alphanumeric(c) || c == '_'; };
  return !tag.empty() && tag.size() <= kLongestTag && is_word(tag.front()) &&
         all(tag, [&](char c) { return is_word(c) || c == '.' || c == '-'; });
}

bool looks_like_host(std::string_view component) {
  return component.find_first_of(".:") != std::string_view::npos || component == "localhost" ||
         std::any_of(component.begin(), component.end(), is_upper);
}

// Takes the digest off the end of `text`.
std::optional<Digest> split_digest(std::string_view& text) {
  const size_t at = text.find('@');
  if (at == std::string_view::npos) return std::nullopt;
  const Digest digest = Digest::parse(text.substr(at + 1));
  text = text.substr(0, at);
  return digest;
}

// Takes the tag off the end of `text`: a ':' after the last '/', since one before it belongs to a port.
std::optional<std::string> split_tag(std::string_view& text) {
  const size_t slash = text.rfind('/');
  const size_t colon = text.find(':', slash == std::string_view::npos ? 0 : slash);
  if (colon == std::string_view::npos) return std::nullopt;
  const std::string tag(text.substr(colon + 1));
  if (!is_tag(tag)) {
    throw make_error(ErrorKind::invalid, "\"{}\" is no tag: letters, digits, '_', '.' and '-', up to {}",
                     printable(tag), kLongestTag);
  }
  text = text.substr(0, colon);
  return tag;
}

}  // namespace

Reference Reference::parse(std::string_view text) {
  Reference reference;
  reference.digest = split_digest(text);
  const auto tag = split_tag(text);
  reference.tag = tag ? *tag : reference.digest ? "" : "latest";

  const size_t slash = text.find('/');
  if (slash != std::string_view::npos && looks_like_host(text.substr(0, slash))) {
    reference.host = text.substr(0, slash);
    reference.path = text.substr(slash + 1);
  } else {
    reference.host = kDefaultHost;
    reference.path = text;
  }
  if (reference.host == "index.docker.io") reference.host = kDefaultHost;
  if (!is_host(reference.host)) {
    throw make_error(ErrorKind::invalid, "\"{}\" is no host name or address", printable(reference.host));
  }
  if (!is_path(reference.path)) {
    throw make_error(
        ErrorKind::invalid,
        "\"{}\" is no repository: lower-case letters and digits, separated by '/', '.', '_' or '-'",
        printable(reference.path));
  }
  if (reference.host == kDefaultHost && reference.path.find('/') == std::string::npos)
    reference.path.insert(0, "library/");
  if (reference.repository().size() > kLongestPath) {
    throw make_error(ErrorKind::invalid, "the name is longer than {} characters", kLongestPath);
  }
  return reference;
}

std::string Reference::selector() const {
  return digest ? to_string(*digest) : tag;
}

std::string to_string(const Reference& reference) {
  std::string text = reference.repository();
  if (!reference.tag.empty()) text += ":" + reference.tag;
  if (reference.digest) text += "@" + to_string(*reference.digest);
  return text;
}

}  // namespace erofs_oci
