// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "base/unique_fd.h"

namespace erofs_oci {

/// A filesystem under construction: fsopen(2), fsconfig(2) and fsmount(2), Linux 5.2. Unlike mount(2) it
/// reports in the kernel's own words what it did not like, and they become part of the Error. One thread at a
/// time; needs CAP_SYS_ADMIN.
class FsContext {
 public:
  /// `type` as in /proc/filesystems; one that the kernel has no driver for is Error unsupported.
  explicit FsContext(const std::string& type);

  void set_flag(const std::string& key);
  void set_string(const std::string& key, const std::string& value);

  /// Makes the superblock from the parameters set so far. The errno is the one that mount(2) would give.
  void create();
  /// The mount of the superblock, attached nowhere: an O_PATH descriptor of its root that keeps it alive.
  /// `attributes` are MOUNT_ATTR_* bits.
  UniqueFd mount(unsigned attributes);

 private:
  Error failure(int errno_value, std::string_view what) const;

  std::string type_;
  UniqueFd fd_;
};

}  // namespace erofs_oci
