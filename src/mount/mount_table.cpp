// SPDX-License-Identifier: Apache-2.0
#include "mount/mount_table.h"

#include <libmount/libmount.h>

#include <memory>

#include "base/error.h"

namespace erofs_oci {
namespace {

constexpr const char* kMountInfo = "/proc/self/mountinfo";

struct Unref {
  void operator()(libmnt_table* table) const { mnt_unref_table(table); }
  void operator()(libmnt_iter* iterator) const { mnt_free_iter(iterator); }
};

std::string text_or_empty(const char* text) {
  return text == nullptr ? "" : text;
}

MountInfo to_info(libmnt_fs* fs) {
  MountInfo info;
  info.id = mnt_fs_get_id(fs);
  info.parent_id = mnt_fs_get_parent_id(fs);
  info.device = mnt_fs_get_devno(fs);
  info.target = text_or_empty(mnt_fs_get_target(fs));
  info.source = text_or_empty(mnt_fs_get_source(fs));
  info.type = text_or_empty(mnt_fs_get_fstype(fs));
  return info;
}

template <typename Predicate>
std::vector<MountInfo> mounts_where(Predicate&& wanted) {
  const std::unique_ptr<libmnt_table, Unref> table(mnt_new_table_from_file(kMountInfo));
  const std::unique_ptr<libmnt_iter, Unref> iterator(mnt_new_iter(MNT_ITER_FORWARD));
  if (!table || !iterator) throw errno_error("{}", kMountInfo);
  std::vector<MountInfo> found;
  for (libmnt_fs* fs = nullptr; mnt_table_next_fs(table.get(), iterator.get(), &fs) == 0;) {
    MountInfo info = to_info(fs);
    if (wanted(info)) found.push_back(std::move(info));
  }
  return found;
}

}  // namespace

std::optional<MountInfo> find_mount(const std::filesystem::path& mountpoint) {
  try {
    return find_mount(Mountpoint::open(mountpoint));
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::not_found) return std::nullopt;
    throw;
  }
}

std::optional<MountInfo> find_mount(const Mountpoint& mountpoint) {
  auto mount = mountpoint.is_mount_root() ? find_mount_by_id(mountpoint.mount_id()) : std::nullopt;
  if (mount) mount->unique_id = mountpoint.unique_mount_id();
  return mount;
}

std::optional<MountInfo> find_mount_by_id(int id) {
  const auto found = mounts_where([id](const MountInfo& info) { return info.id == id; });
  return found.empty() ? std::nullopt : std::optional(found.front());
}

std::vector<MountInfo> find_mounts_of(dev_t device) {
  return mounts_where([device](const MountInfo& info) { return info.device == device; });
}

std::vector<MountInfo> find_mounts_on(int id) {
  return mounts_where([id](const MountInfo& info) { return info.parent_id == id && info.id != id; });
}

}  // namespace erofs_oci
