// SPDX-License-Identifier: Apache-2.0
#include "mount/unmount.h"

#include <fmt/ranges.h>
#include <sys/mount.h>

#include <optional>

#include "base/alarm.h"
#include "base/error.h"
#include "mount/mount_table.h"
#include "mount/mount_users.h"
#include "mount/mountpoint.h"
#include "mount/utab.h"

namespace erofs_oci {
namespace {

constexpr std::chrono::seconds kPatience{5};

/// umount2(2); 0, or its errno.
int umount_place(const Mountpoint& place, int flags, const std::function<void()>& waiting) {
  std::optional<Alarm> alarm;
  if (waiting) alarm.emplace(std::chrono::steady_clock::now() + kPatience, waiting, kPatience);
  // UMOUNT_NOFOLLOW is for the last component alone: the folder is the one that was looked up.
  return ::umount2(place.name_in_folder().c_str(), UMOUNT_NOFOLLOW | flags) == 0 ? 0 : errno;
}

Error busy_error(const MountInfo& mount) {
  const std::vector<std::string> users = find_mount_users(mount);
  if (users.empty()) return make_error(ErrorKind::busy, "{} is in use", mount.target.native());
  return make_error(ErrorKind::busy, "{} is in use by: {}", mount.target.native(), fmt::join(users, ", "));
}

void unmount_with(const std::filesystem::path& mountpoint, int id, int flags, const std::function<void()>& waiting) {
  Mountpoint place = Mountpoint::open(mountpoint);
  const auto mount = find_mount(place);
  if (!mount || mount->id != id) {
    throw make_error(ErrorKind::not_found, "{}: {} is mounted there", mountpoint.native(),
                     mount ? "something else" : "nothing");
  }
  place.close_fd();
  if (const int failed = umount_place(place, flags, waiting)) {
    if (failed == EBUSY) throw busy_error(*mount);
    errno = failed;
    throw errno_error("unmounting {}", mountpoint.native());
  }
  remove_from_utab(mount->target);
}

}  // namespace

void unmount(const std::filesystem::path& mountpoint, int id, const std::function<void()>& waiting) {
  unmount_with(mountpoint, id, 0, waiting);
}

void detach(const std::filesystem::path& mountpoint, int id, const std::function<void()>& waiting) {
  unmount_with(mountpoint, id, MNT_DETACH, waiting);
}

}  // namespace erofs_oci
