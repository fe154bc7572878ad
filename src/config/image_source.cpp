// SPDX-License-Identifier: Apache-2.0
#include "config/image_source.h"

#include <array>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/reference.h"

namespace erofs_oci {
namespace {

constexpr std::string_view kPrefixCharacters = "abcdefghijklmnopqrstuvwxyz0123456789._-";

constexpr std::array<std::pair<std::string_view, ImageKind>, 4> kPrefixes{{
    {"oci:", ImageKind::oci},
    {"oci-archive:", ImageKind::oci_archive},
    {"tar:", ImageKind::tar},
    {"file:", ImageKind::file},
}};

bool consists_of(std::string_view text, std::string_view characters) {
  return !text.empty() && text.find_first_not_of(characters) == std::string_view::npos;
}

void check_reference(std::string_view text) {
  if (text.find("://") != std::string_view::npos) {
    throw Error(ErrorKind::invalid,
                "must be a reference without a scheme, such as \"registry.example.com/team/tools:1.4\"");
  }
  try {
    Reference::parse(text);
  } catch (const Error& error) {
    throw make_error(ErrorKind::invalid,
                     "must be a reference such as \"registry.example.com/team/tools:1.4\", or oci:, oci-archive:, tar: or "
                     "file: and an absolute path: {}",
                     error.what());
  }
}

/// "dir:/path": a prefix that other tools know.
std::optional<std::string_view> unknown_prefix(std::string_view image) {
  const size_t colon = image.find(":/");
  const bool prefix = colon != std::string_view::npos && image.substr(colon, 3) != "://" &&
                      consists_of(image.substr(0, colon), kPrefixCharacters);
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
