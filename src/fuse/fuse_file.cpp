// SPDX-License-Identifier: Apache-2.0
#include "fuse/fuse_file.h"

#include <fcntl.h>
#include <sys/mount.h>

#include "base/error.h"
#include "base/file.h"
#include "base/fs_context.h"
#include "base/proc_path.h"

namespace erofs_oci::fuse {
namespace {

UniqueFd open_connection() {
  // Non-blocking, so that a server's poll and read do not hang where a predecessor took the request in
  // between.
  std::optional<UniqueFd> fd = try_open_file("/dev/fuse", O_RDWR | O_NONBLOCK);
  if (!fd) throw Error(ErrorKind::unsupported, "this kernel has no fuse driver: /dev/fuse does not exist");
  return std::move(*fd);
}

UniqueFd mount_root(int connection, const std::string& identifier) {
  FsContext context("fuse");
  context.set_string("source", identifier);
  context.set_string("fd", std::to_string(connection));
  context.set_string("rootmode", "100444");  // S_IFREG | 0444, octal
  context.set_string("user_id", "0");
  context.set_string("group_id", "0");
  context.set_flag("ro");
  context.create();
  return context.mount(MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
}

}  // namespace

FuseFile::FuseFile(const std::string& identifier)
    : connection_(open_connection()), root_(mount_root(connection_.get(), identifier)) {}

UniqueFd FuseFile::open() const {
  UniqueFd file = open_file(proc_path(root_.get()), O_RDONLY);
  // The kernel asks for a file's size only when somebody wants to know, and readers in the kernel rely on it.
  stat_fd(file.get(), "the file served through fuse");
  return file;
}

}  // namespace erofs_oci::fuse
