// SPDX-License-Identifier: Apache-2.0
#include "mount/unmount.h"

#include <fmt/ranges.h>
#include <sys/mount.h>

#include "base/error.h"
#include "mount/mount_table.h"
#include "mount/mount_users.h"
#include "mount/mountpoint.h"
#include "mount/utab.h"

namespace erofs_oci {
namespace {

Error busy_error(const MountInfo& mount) {
  const std::vector<std::string> users = find_mount_users(mount);
  if (users.empty()) return make_error(ErrorKind::busy, "{} is in use", mount.target.native());
  return make_error(ErrorKind::busy, "{} is in use by: {}", mount.target.native(), fmt::join(users, ", "));
}

void unmount_with(const std::filesystem::path& mountpoint, int id, int flags) {
  Mountpoint place = Mountpoint::open(mountpoint);
  const auto mount = find_mount(place);
  if (!mount || mount->id != id) {
    throw make_error(ErrorKind::not_found, "{}: {} is mounted there", mountpoint.native(),
                     mount ? "something else" : "nothing");
  }
  place.close_fd();
  // UMOUNT_NOFOLLOW is for the last component alone: the folder is the one that was looked up.
  if (::umount2(place.name_in_folder().c_str(), UMOUNT_NOFOLLOW | flags) != 0) {
    if (errno == EBUSY) throw busy_error(*mount);
    throw errno_error("unmounting {}", mountpoint.native());
  }
  remove_from_utab(mount->target);
}

}  // namespace

void unmount(const std::filesystem::path& mountpoint, int id) {
  unmount_with(mountpoint, id, 0);
}

void detach(const std::filesystem::path& mountpoint, int id) {
  unmount_with(mountpoint, id, MNT_DETACH);
}

}  // namespace erofs_oci
