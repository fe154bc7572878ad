// SPDX-License-Identifier: Apache-2.0
#include "registry/platform.h"

#include <sys/utsname.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/text.h"

namespace erofs_oci::registry {
namespace {

struct Alias {
  std::string_view name;
  std::string_view architecture;
  std::string_view variant;
};

// containerd's platforms/database.go, and what uname(2) says.
constexpr std::array<Alias, 14> kAliases{{
    {"x86_64", "amd64", ""},
    {"x86-64", "amd64", ""},
    {"aarch64", "arm64", ""},
    {"armhf", "arm", "v7"},
    {"armv7l", "arm", "v7"},
    {"armv6l", "arm", "v6"},
    {"armel", "arm", "v6"},
    {"i386", "386", ""},
    {"i486", "386", ""},
    {"i586", "386", ""},
    {"i686", "386", ""},
    {"loongarch64", "loong64", ""},
    {"ppc64el", "ppc64le", ""},
    {"mips64el", "mips64le", ""},
}};

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return text;
}

std::string_view usual_variant(std::string_view architecture) {
  if (architecture == "arm64") return "v8";
  if (architecture == "arm") return "v7";
  if (architecture == "amd64") return "v1";
  return "";
}

bool is_word(std::string_view text) {
  return !text.empty() &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
             std::string_view::npos;
}

}  // namespace

Platform Platform::parse(std::string_view text) {
  std::vector<std::string> parts;
  for (std::string_view rest = text;;) {
    const size_t slash = rest.find('/');
    parts.emplace_back(rest.substr(0, slash));
    if (slash == std::string_view::npos) break;
    rest.remove_prefix(slash + 1);
  }
  if (parts.size() < 2 || parts.size() > 3 || !std::all_of(parts.begin(), parts.end(), is_word)) {
    throw make_error(ErrorKind::invalid, "platform \"{}\" is not of the form os/architecture[/variant]",
                     printable(text));
  }
  return Platform{parts[0], parts[1], parts.size() == 3 ? parts[2] : ""}.normalized();
}

Platform Platform::host() {
  utsname name{};
  ::uname(&name);
  return Platform{"linux", name.machine, ""}.normalized();
}

Platform Platform::normalized() const {
  Platform out{lower(os), lower(architecture), lower(variant)};
  for (const Alias& alias : kAliases) {
    if (out.architecture != alias.name) continue;
    out.architecture = alias.architecture;
    if (out.variant.empty()) out.variant = alias.variant;
    break;
  }
  if (out.variant.size() == 1 && out.variant[0] >= '0' && out.variant[0] <= '9') out.variant.insert(0, "v");
  if (out.variant == usual_variant(out.architecture)) out.variant.clear();
  return out;
}

std::vector<Platform> Platform::runs() const {
  const Platform own = normalized();
  std::vector<Platform> platforms{own};
  const std::string level_name =
      own.variant.empty() ? std::string(usual_variant(own.architecture)) : own.variant;
  const char lowest = own.architecture == "arm" ? '5' : own.architecture == "amd64" ? '1' : '\0';
  if (lowest == '\0' || level_name.size() != 2 || level_name[0] != 'v') return platforms;
  for (char level = static_cast<char>(level_name[1] - 1); level >= lowest && level < '9'; --level) {
    platforms.push_back(Platform{own.os, own.architecture, {'v', level}}.normalized());
  }
  return platforms;
}

std::string to_string(const Platform& platform) {
  return platform.os + "/" + platform.architecture + (platform.variant.empty() ? "" : "/" + platform.variant);
}

}  // namespace erofs_oci::registry
