// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace erofs_oci {

/// The definition's `options`: an array of mount options from a fixed list (mount(8) and the kernel's
/// Documentation/filesystems/erofs.rst). What stands in a file only for fstab's sake, or is made by erofs-oci
/// itself, is refused with the key to use instead.
struct MountOptionsCodec {
  static std::string type() { return "array of strings"; }
  /// The options in force: nodev and nosuid first unless "dev" and "suid" are given, no "ro", nothing twice.
  /// Reading what write() gave changes nothing.
  static std::vector<std::string> read(const nlohmann::json& value);
  static nlohmann::json write(const std::vector<std::string>& options) { return options; }
};

/// Adds `option` to those in force, as mount(8) does with a later word: instead of what says the opposite.
void override_option(std::vector<std::string>& options, std::string_view option);

}  // namespace erofs_oci
