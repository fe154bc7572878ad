// SPDX-License-Identifier: Apache-2.0
#include "mount/mount_options.h"

#include <sys/mount.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "base/error.h"

namespace erofs_oci {
namespace {

struct AttributeOption {
  std::string_view name;
  unsigned set;
  unsigned clear;
};

// mount(8), FILESYSTEM-INDEPENDENT MOUNT OPTIONS, as far as mount_setattr(2) has them.
constexpr auto kAttributeOptions = std::to_array<AttributeOption>({
    {"defaults", 0, 0},
    {"ro", MOUNT_ATTR_RDONLY, 0},
    {"nosuid", MOUNT_ATTR_NOSUID, 0},
    {"suid", 0, MOUNT_ATTR_NOSUID},
    {"nodev", MOUNT_ATTR_NODEV, 0},
    {"dev", 0, MOUNT_ATTR_NODEV},
    {"noexec", MOUNT_ATTR_NOEXEC, 0},
    {"exec", 0, MOUNT_ATTR_NOEXEC},
    {"nosymfollow", MOUNT_ATTR_NOSYMFOLLOW, 0},
    {"symfollow", 0, MOUNT_ATTR_NOSYMFOLLOW},
    {"nodiratime", MOUNT_ATTR_NODIRATIME, 0},
    {"diratime", 0, MOUNT_ATTR_NODIRATIME},
    {"relatime", MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME},
    {"noatime", MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME},
    {"strictatime", MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME},
});

constexpr auto kUserspaceOptions = std::to_array<std::string_view>(
    {"_netdev", "auto", "noauto", "nofail", "user", "nouser", "users", "owner", "group"});

bool is_for_userspace(std::string_view option) {
  return option.starts_with("x-") || option.starts_with("X-") || option.starts_with("comment=") ||
         option.starts_with("helper=") || option.starts_with("uhelper=") ||
         std::ranges::find(kUserspaceOptions, option) != kUserspaceOptions.end();
}

}  // namespace

MountOptions parse_mount_options(std::span<const std::string> options) {
  MountOptions result;
  result.attributes = MOUNT_ATTR_RDONLY;
  for (const std::string& option : options) {
    const auto known = std::ranges::find(kAttributeOptions, option, &AttributeOption::name);
    if (option == "rw") throw Error(ErrorKind::invalid, "mount option rw: an image is read-only");
    if (known != kAttributeOptions.end()) {
      result.attributes = (result.attributes & ~known->clear) | known->set;
    } else if (is_for_userspace(option)) {
      result.userspace.push_back(option);
    } else if (const size_t equals = option.find('='); equals != std::string::npos) {
      result.filesystem.emplace_back(option.substr(0, equals), option.substr(equals + 1));
    } else {
      result.filesystem.emplace_back(option, std::nullopt);
    }
  }
  return result;
}

}  // namespace erofs_oci
