// SPDX-License-Identifier: Apache-2.0
#include "config/rules.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "base/digest.h"
#include "base/error.h"
#include "base/text.h"
#include "config/codecs.h"
#include "config/image_source.h"

namespace erofs_oci {
namespace {

/// More layers than any image has: registries and runtimes stop at 127.
constexpr uint64_t kMaxLayer = 9999;
constexpr size_t kMaxCredentialBytes = 255;

constexpr std::string_view kAlnum = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
constexpr std::string_view kPlatformCharacters = "abcdefghijklmnopqrstuvwxyz0123456789._-";

[[noreturn]] void must(std::string_view rule) {
  throw make_error(ErrorKind::invalid, "must {}", rule);
}

bool is_platform_part(std::string_view part) {
  return !part.empty() && part.find_first_not_of(kPlatformCharacters) == std::string_view::npos;
}

}  // namespace

std::string image_rule(std::string text) {
  parse_image_source(text);
  return text;
}

std::string mountpoint_rule(std::string text) {
  if (!text.starts_with('/')) must("be an absolute path");
  std::string normal = std::filesystem::path(text).lexically_normal().native();
  while (normal.size() > 1 && normal.ends_with('/')) normal.pop_back();
  if (normal.find_first_not_of('/') == std::string::npos) must("not be the root of the file system");
  if (normal.starts_with("//")) normal.erase(0, normal.find_first_not_of('/') - 1);
  if (normal != text) must(fmt::format("be written in its shortest form, \"{}\"", printable(normal)));
  return text;
}

std::string path_rule(std::string text) {
  if (!text.starts_with('/')) must("be an absolute path");
  return text;
}

std::string platform_rule(std::string text) {
  size_t parts = 0;
  bool valid = true;
  for (size_t start = 0; start <= text.size(); ++parts) {
    const size_t end = std::min(text.find('/', start), text.size());
    valid = valid && is_platform_part(std::string_view(text).substr(start, end - start));
    start = end + 1;
  }
  if (!valid || parts < 2 || parts > 3) {
    must("be os/architecture or os/architecture/variant, such as \"linux/arm64\"");
  }
  return text;
}

std::string credential_rule(std::string text) {
  if (text.starts_with('/')) return text;
  const bool name = !text.empty() && text.size() <= kMaxCredentialBytes && text.front() != '.' &&
                    text.find_first_not_of(std::string(kAlnum) + "._-") == std::string::npos;
  if (!name) must("be the name of a credential or an absolute path, never the secret itself");
  return text;
}

std::string proxy_rule(std::string text) {
  constexpr auto kSchemes =
      std::to_array<std::string_view>({"http://", "https://", "socks5://", "socks5h://"});
  const auto scheme = std::find_if(kSchemes.begin(), kSchemes.end(),
                                   [&](std::string_view prefix) { return text.starts_with(prefix); });
  const bool url =
      scheme != kSchemes.end() && text.size() > scheme->size() && text.find(' ') == std::string::npos;
  if (!url) must("be a URL such as \"http://proxy.example.com:3128\"");
  if (text.find('@') != std::string::npos) must("not contain user information: everybody may see it");
  return text;
}

std::string root_hash_rule(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c; });
  if (!Digest::try_parse("sha256:" + text)) must("be 64 hex digits");
  return text;
}

std::string LayerCodec::read(const nlohmann::json& value) {
  if (value.is_number_integer()) return std::to_string(read_number(value, 0, kMaxLayer));
  if (!value.is_string()) refuse_type(value, "a number from 0 or a digest");
  std::string text = read_string(value);
  if (!Digest::try_parse(text)) must("be a number from 0, without quotes, or sha256: and 64 hex digits");
  return text;
}

nlohmann::json LayerCodec::write(const std::string& value) {
  if (const auto number = parse_u64(value)) return *number;
  return value;
}

}  // namespace erofs_oci
