// SPDX-License-Identifier: Apache-2.0
#include "mount/erofs_mount.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/error.h"
#include "base/file.h"
#include "base/fs_context.h"
#include "base/log.h"
#include "base/proc_path.h"
#include "base/read_ahead.h"
#include "mount/loop_device.h"
#include "mount/mount_options.h"
#include "mount/mount_table.h"
#include "mount/mountpoint.h"
#include "mount/utab.h"

namespace erofs_oci {
namespace {

struct statx statx_mount(int root, const std::filesystem::path& target) {
  struct statx info {};
  if (::statx(root, "", AT_EMPTY_PATH, STATX_MNT_ID, &info) == 0) return info;
  throw errno_error("{}", target.native());
}

void refuse_occupied(const Mountpoint& mountpoint) {
  const auto there = find_mount(mountpoint);
  if (!there || there->type == "autofs") return;  // an automount waits there for just this mount
  throw make_error(ErrorKind::busy, "mount point {} is in use: {} ({}) is mounted there",
                   mountpoint.path().native(), there->source, there->type);
}

UniqueFd make_mount(const std::string& source, const MountOptions& options) {
  FsContext context("erofs");
  context.set_string("source", source);
  context.set_flag("ro");  // else the kernel opens the device for writing
  for (const auto& [key, value] : options.filesystem) {
    if (value)
      context.set_string(key, *value);
    else
      context.set_flag(key);
  }
  context.create();
  return context.mount(options.attributes);
}

}  // namespace

ScopedMount::ScopedMount(UniqueFd root, std::filesystem::path target)
    : root_(std::move(root)), target_(std::move(target)) {
  const struct statx info = statx_mount(root_.get(), target_);
  id_ = static_cast<int>(info.stx_mnt_id);
  unique_id_ = unique_mount_id_of(root_.get());
  device_ = makedev(info.stx_dev_major, info.stx_dev_minor);
}

void ScopedMount::attach(const Mountpoint& mountpoint) {
  const unsigned flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
  if (::move_mount(root_.get(), "", mountpoint.fd(), "", flags) != 0)
    throw errno_error("attaching the mount");
}

ScopedMount::~ScopedMount() {
  if (!root_) return;
  // By the descriptor, so that it is this mount whatever has happened to the path; lazily, since the
  // descriptor itself keeps it busy.
  ::umount2(proc_path(root_.get()).c_str(), MNT_DETACH);
  try {
    remove_from_utab(target_);
  } catch (const Error& error) {
    logf(LogLevel::debug, "{}; ignoring", error.what());
  }
}

ScopedMount mount_erofs(const MountRequest& request) {
  const MountOptions options = parse_mount_options(request.options);
  const Mountpoint mountpoint = Mountpoint::open(request.mountpoint);
  refuse_occupied(mountpoint);
  return with_context(fmt::format("mounting {} on {}", request.source, mountpoint.path().native()), [&] {
    ScopedMount mount(make_mount(request.source, options),
                      std::filesystem::read_symlink(proc_path(mountpoint.fd())));
    mount.attach(mountpoint);
    if (request.read_ahead) set_read_ahead(mount.device(), *request.read_ahead);
    record_in_utab(request.source, mount.target(), options.userspace);
    return mount;
  });
}

ScopedMount mount_erofs_file(int file, unsigned block_size, MountRequest request) {
  const auto loop = LoopDevice::attach(file, block_size);
  request.source = loop ? loop->path() : proc_path(file);
  if (!loop && request.read_ahead) set_read_ahead(stat_fd(file, request.source).st_dev, *request.read_ahead);
  try {
    return mount_erofs(request);
  } catch (const Error& error) {
    if (error.errno_value() != ENOTBLK) throw;
    throw Error(
        ErrorKind::unsupported,
        "this kernel has no loop driver (modprobe loop did not help), and mounts files only since 6.12");
  }
}

}  // namespace erofs_oci
