// SPDX-License-Identifier: Apache-2.0
#include "config/image_source.h"

#include <array>
#include <optional>
#include <utility>

#include "base/digest.h"
#include "base/error.h"

namespace erofs_oci {
namespace {

constexpr size_t kMaxReferenceBytes = 512;
constexpr size_t kMaxTagBytes = 128;
constexpr std::string_view kLower = "abcdefghijklmnopqrstuvwxyz0123456789";
constexpr std::string_view kPathCharacters = "abcdefghijklmnopqrstuvwxyz0123456789._-";
constexpr std::string_view kTagCharacters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
constexpr std::string_view kHostCharacters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-:[]";

constexpr std::array<std::pair<std::string_view, ImageKind>, 4> kPrefixes{{
    {"oci:", ImageKind::oci},
    {"oci-archive:", ImageKind::oci_archive},
    {"tar:", ImageKind::tar},
    {"file:", ImageKind::file},
}};

bool consists_of(std::string_view text, std::string_view characters) {
  return !text.empty() && text.find_first_not_of(characters) == std::string_view::npos;
}

bool is_host(std::string_view text) {
  return consists_of(text, kHostCharacters) &&
         (text == "localhost" || text.find_first_of(".:") != std::string_view::npos);
}

bool is_path_component(std::string_view text) {
  return consists_of(text, kPathCharacters) && kLower.find(text.front()) != std::string_view::npos &&
         kLower.find(text.back()) != std::string_view::npos;
}

bool is_repository(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash != std::string_view::npos && is_host(text.substr(0, slash))) text.remove_prefix(slash + 1);
  for (;;) {
    const size_t end = text.find('/');
    if (!is_path_component(text.substr(0, end))) return false;
    if (end == std::string_view::npos) return true;
    text.remove_prefix(end + 1);
  }
}

bool is_tag(std::string_view text) {
  return text.size() <= kMaxTagBytes && consists_of(text, kTagCharacters) && text.front() != '.' &&
         text.front() != '-';
}

void check_reference(std::string_view text) {
  if (text.find("://") != std::string_view::npos) {
    throw Error(ErrorKind::invalid,
                "must be a reference without a scheme, such as \"registry.example.com/team/tools:1.4\"");
  }
  if (const size_t at = text.find('@'); at != std::string_view::npos) {
    if (!Digest::try_parse(text.substr(at + 1))) {
      throw Error(ErrorKind::invalid, "must have sha256: and 64 hex digits after its '@'");
    }
    text = text.substr(0, at);
  }
  const size_t colon = text.rfind(':');
  std::string_view repository = text;
  if (colon != std::string_view::npos && text.find('/', colon) == std::string_view::npos) {
    repository = text.substr(0, colon);
    if (!is_tag(text.substr(colon + 1)))
      throw Error(ErrorKind::invalid, "must have a valid tag after its last ':'");
  }
  if (text.size() > kMaxReferenceBytes || !is_repository(repository)) {
    throw Error(ErrorKind::invalid,
                "must be a reference such as \"registry.example.com/team/tools:1.4\" (repository names are "
                "lower-case), "
                "or oci:, oci-archive:, tar: or file: and an absolute path");
  }
}

/// "dir:/path": a prefix that other tools know.
std::optional<std::string_view> unknown_prefix(std::string_view image) {
  const size_t colon = image.find(":/");
  const bool prefix = colon != std::string_view::npos && image.substr(colon, 3) != "://" &&
                      consists_of(image.substr(0, colon), kPathCharacters);
  return prefix ? std::optional(image.substr(0, colon + 1)) : std::nullopt;
}

/// A path with ':' in it cannot be told from one with a tag, as with other tools that know these prefixes.
ImageSource layout_source(ImageKind kind, std::string_view text) {
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) return {kind, std::string(text), std::nullopt};
  if (colon + 1 == text.size()) throw Error(ErrorKind::invalid, "must have a tag after its ':'");
  return {kind, std::string(text.substr(0, colon)), std::string(text.substr(colon + 1))};
}

}  // namespace

ImageSource parse_image_source(std::string_view image) {
  if (image.empty()) throw Error(ErrorKind::invalid, "must not be empty");
  for (const auto& [prefix, kind] : kPrefixes) {
    if (!image.starts_with(prefix)) continue;
    image.remove_prefix(prefix.size());
    if (!image.starts_with('/')) {
      throw make_error(ErrorKind::invalid,
                       "must have an absolute path after {0} (for a registry's image of that name write "
                       "docker.io/library/{0}…)",
                       prefix);
    }
    if (kind == ImageKind::oci || kind == ImageKind::oci_archive) return layout_source(kind, image);
    return {kind, std::string(image), std::nullopt};
  }
  if (const auto prefix = unknown_prefix(image)) {
    throw make_error(ErrorKind::invalid,
                     "must not begin with {}; known are oci:, oci-archive:, tar: and file:", *prefix);
  }
  check_reference(image);
  return {ImageKind::registry, std::string(image), std::nullopt};
}

}  // namespace erofs_oci
