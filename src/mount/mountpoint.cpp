// SPDX-License-Identifier: Apache-2.0
#include "mount/mountpoint.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/file.h"
#include "base/proc_path.h"

namespace erofs_oci {
namespace {

struct statx statx_root(int fd, const std::filesystem::path& path) {
  struct statx info {};
  // DONT_SYNC: the mounted filesystem's server, which may be away, is not asked.
  if (::statx(fd, "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_MNT_ID,
              &info) != 0) {
    throw errno_error("{}", path.native());
  }
  return info;
}

/// STATX_MNT_ID_UNIQUE (linux/stat.h since 6.8): stx_mnt_id is then the unique one.
constexpr unsigned kUniqueMountId = 0x4000;

/// `path` without "." and without a slash at its end, behind which a symlink would be followed.
std::filesystem::path absolute_name(const std::filesystem::path& path) {
  std::filesystem::path clean = path.has_filename() ? path : path.parent_path();
  if (!clean.is_absolute() || !clean.has_filename() || clean.filename() == "." || clean.filename() == "..") {
    throw make_error(ErrorKind::invalid,
                     "mount point \"{}\": must be the absolute path of a directory below /", path.native());
  }
  return clean;
}

}  // namespace

std::optional<uint64_t> unique_mount_id_of(int fd) {
  struct statx info {};
  const int flags = AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC;
  if (::statx(fd, "", flags, kUniqueMountId, &info) != 0) throw errno_error("statx");
  if ((info.stx_mask & kUniqueMountId) == 0) return std::nullopt;
  return info.stx_mnt_id;
}

Mountpoint Mountpoint::open(const std::filesystem::path& path) {
  Mountpoint result;
  result.path_ = absolute_name(path);
  const std::string& name = result.path_.native();
  auto folder = try_open_file(result.path_.parent_path(), O_PATH | O_DIRECTORY);
  if (folder) {
    result.folder_ = std::move(*folder);
    // Without O_DIRECTORY, which would trigger an automount.
    result.fd_.reset(
        ::openat(result.folder_.get(), result.path_.filename().c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  }
  if (!result.fd_) {
    if (!folder || errno == ENOENT) {
      throw make_error(ErrorKind::not_found, "mount point {} does not exist; make the directory first", name);
    }
    throw errno_error("mount point {}", name);
  }
  const auto mode = statx_root(result.fd(), result.path_).stx_mode;
  if (S_ISLNK(mode)) {
    throw make_error(ErrorKind::invalid, "mount point {} is a symbolic link; name the directory it leads to",
                     name);
  }
  if (!S_ISDIR(mode)) throw make_error(ErrorKind::invalid, "mount point {} is not a directory", name);
  return result;
}

int Mountpoint::mount_id() const {
  return static_cast<int>(statx_root(fd(), path_).stx_mnt_id);
}

std::optional<uint64_t> Mountpoint::unique_mount_id() const {
  return unique_mount_id_of(fd());
}

bool Mountpoint::is_mount_root() const {
  return (statx_root(fd(), path_).stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

std::string Mountpoint::name_in_folder() const {
  return proc_path(folder_.get()) + "/" + path_.filename().native();
}

}  // namespace erofs_oci
