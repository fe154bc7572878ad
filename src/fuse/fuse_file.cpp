// SPDX-License-Identifier: Apache-2.0
#include "fuse/fuse_file.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cstring>

#include "base/error.h"
#include "base/file.h"
#include "base/fs_context.h"
#include "base/proc_path.h"

namespace erofs_oci::fuse {
namespace {

/// MISC_MAJOR and FUSE_MINOR (include/linux/miscdevice.h).
constexpr unsigned kFuseMajor = 10;
constexpr unsigned kFuseMinor = 229;

bool is_fuse_device(const struct stat& info) {
  return S_ISCHR(info.st_mode) && info.st_rdev == makedev(kFuseMajor, kFuseMinor);
}

/// What open(2) of the fuse device means by its errno, and the remedy.
Error explain(int errno_value, const std::string& path) {
  switch (errno_value) {
    case ENOENT:
      return make_error(ErrorKind::unsupported,
                        "{} does not exist: load the module fuse, or pass the device into the container",
                        path);
    case ENODEV:
    case ENXIO:
      return make_error(ErrorKind::unsupported,
                        "{} is there, but this kernel has no fuse driver: load the module fuse", path);
    case EACCES:
    case EPERM:
      return make_error(
          ErrorKind::denied,
          "{}: {}; this needs root, and in a container the right to use that device (c {}:{} rw)", path,
          std::strerror(errno_value), kFuseMajor, kFuseMinor);
    default:
      return system_error(errno_value, path);
  }
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

UniqueFd open_connection(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) throw explain(errno, path);
  if (!is_fuse_device(info)) {
    throw make_error(ErrorKind::unsupported,
                     "{} is not the fuse device: remove it, and make it by mknod {} c {} {}", path, path,
                     kFuseMajor, kFuseMinor);
  }
  // Non-blocking, so that a server's poll and read do not hang where a predecessor took the request in
  // between.
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!fd) throw explain(errno, path);
  return fd;
}

FuseFile::FuseFile(const std::string& identifier)
    : connection_(open_connection("/dev/fuse")), root_(mount_root(connection_.get(), identifier)) {}

UniqueFd FuseFile::open() const {
  UniqueFd file = open_file(proc_path(root_.get()), O_RDONLY);
  // The kernel asks for a file's size only when somebody wants to know, and readers in the kernel rely on it.
  stat_fd(file.get(), "the file served through fuse");
  return file;
}

/// By a mount of the control filesystem of our own: the host's need not be there (Documentation/filesystems/fuse.rst).
void FuseFile::abort() const {
  struct statx info {};
  // DONT_SYNC: the server is not asked.
  if (::statx(root_.get(), "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &info) != 0) throw errno_error("statx");
  FsContext context("fusectl");
  context.create();
  const UniqueFd connections = context.mount(0);
  const std::string name = std::to_string(info.stx_dev_minor) + "/abort";
  const UniqueFd knob(::openat(connections.get(), name.c_str(), O_WRONLY | O_CLOEXEC));
  if (!knob || ::write(knob.get(), "1", 1) != 1) throw errno_error("fuse connection {}", name);
}

}  // namespace erofs_oci::fuse
