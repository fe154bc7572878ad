// SPDX-License-Identifier: Apache-2.0
#include "config/mount_options.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "config/codecs.h"

namespace erofs_oci {
namespace {

constexpr size_t kMaxOptions = 64;

/// Whole options, and such that take a value after '='.
// clang-format off
constexpr auto kKnown = std::to_array<std::string_view>({
    "ro", "dev", "nodev", "suid", "nosuid", "exec", "noexec", "noatime", "relatime", "strictatime",
    "diratime", "nodiratime", "symfollow", "nosymfollow", "user_xattr", "nouser_xattr", "acl", "noacl",
    "dax", "dax=always", "dax=never", "cache_strategy=disabled", "cache_strategy=readahead",
    "cache_strategy=readaround", "context=", "fscontext=", "defcontext=", "rootcontext="
});
// clang-format on

/// What people bring from fstab or from mount.erofs, and what to write here.
constexpr auto kInstead = std::to_array<std::pair<std::string_view, std::string_view>>({
    {"rw", "an image is read-only"},
    {"defaults", "leave it out"},
    {"auto", "use boot = \"required\""},
    {"noauto", "use boot = \"off\""},
    {"nofail", "use boot = \"nofail\""},
    {"_netdev", "it is always set"},
    {"x-systemd.automount", "use automount = true"},
    {"loop", "use transport"},
    {"device", "layers are found by the image"},
    {"fsoffset", "layers are found by the image"},
    {"fsid", "fscache is not used"},
    {"domain_id", "fscache is not used"},
    {"remount", "use erofs-oci reload"},
});

constexpr auto kOpposites = std::to_array<std::pair<std::string_view, std::string_view>>({
    {"dev", "nodev"},
    {"suid", "nosuid"},
    {"exec", "noexec"},
    {"diratime", "nodiratime"},
    {"symfollow", "nosymfollow"},
    {"user_xattr", "nouser_xattr"},
    {"acl", "noacl"},
    {"dax=always", "dax=never"},
    {"dax", "dax=never"},
});

bool contains(const std::vector<std::string>& options, std::string_view option) {
  return std::find(options.begin(), options.end(), option) != options.end();
}

[[noreturn]] void refuse_unknown(const std::string& option) {
  for (const auto& [name, instead] : kInstead) {
    if (option == name || option.starts_with(fmt::format("{}=", name))) {
      throw make_error(ErrorKind::invalid, "must not contain \"{}\": {}", printable(option, 40), instead);
    }
  }
  const auto meant = nearest(option, kKnown);
  throw make_error(ErrorKind::invalid, "contains the unknown option \"{}\"{}", printable(option, 40),
                   meant ? fmt::format("; did you mean \"{}\"?", *meant) : std::string());
}

void check_known(const std::string& option) {
  if (option.find(',') != std::string::npos) {
    throw Error(ErrorKind::invalid, "must have one option an element, without commas");
  }
  const size_t equals = option.find('=');
  const bool valued = equals != std::string::npos && equals + 1 < option.size();
  const bool known = std::any_of(kKnown.begin(), kKnown.end(), [&](std::string_view name) {
    return name.ends_with('=') ? valued && std::string_view(option).substr(0, equals + 1) == name
                               : option == name;
  });
  if (!known) refuse_unknown(option);
}

void check_opposites(const std::vector<std::string>& options) {
  for (const auto& [yes, no] : kOpposites) {
    if (contains(options, yes) && contains(options, no)) {
      throw make_error(ErrorKind::invalid, "must not contain both \"{}\" and \"{}\"", yes, no);
    }
  }
}

}  // namespace

void override_option(std::vector<std::string>& options, std::string_view option) {
  for (const auto& [yes, no] : kOpposites) {
    if (option == yes) std::erase(options, no);
    if (option == no) std::erase(options, yes);
  }
  options.emplace_back(option);
}

std::vector<std::string> MountOptionsCodec::read(const nlohmann::json& value) {
  if (!value.is_array()) refuse_type(value, "an array of strings");
  if (value.size() > kMaxOptions)
    throw make_error(ErrorKind::invalid, "must not have more than {} elements", kMaxOptions);
  std::vector<std::string> given;
  for (const nlohmann::json& element : value) {
    if (!element.is_string()) throw Error(ErrorKind::invalid, "must be an array of strings only");
    given.push_back(read_string(element));
    check_known(given.back());
  }
  check_opposites(given);
  std::vector<std::string> in_force;
  if (!contains(given, "dev")) in_force.emplace_back("nodev");
  if (!contains(given, "suid")) in_force.emplace_back("nosuid");
  for (const std::string& option : given) {
    if (option != "ro" && !contains(in_force, option)) in_force.push_back(option);
  }
  return in_force;
}

}  // namespace erofs_oci
