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

using Table = std::unique_ptr<libmnt_table, Unref>;

template <typename Visit>
void for_each_mount(const Table& table, Visit&& visit) {
  const std::unique_ptr<libmnt_iter, Unref> iterator(mnt_new_iter(MNT_ITER_FORWARD));
  if (!table || !iterator) throw errno_error("{}", kMountInfo);
  for (libmnt_fs* fs = nullptr; mnt_table_next_fs(table.get(), iterator.get(), &fs) == 0;) visit(fs);
}

template <typename Predicate>
std::vector<MountInfo> mounts_where(Predicate&& wanted) {
  std::vector<MountInfo> found;
  for_each_mount(Table(mnt_new_table_from_file(kMountInfo)), [&](libmnt_fs* fs) {
    MountInfo info = to_info(fs);
    if (wanted(info)) found.push_back(std::move(info));
  });
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

std::vector<NotedMount> find_mounts_noted(const std::string& option) {
  const Table table(mnt_new_table());
  if (!table) throw system_error(ENOMEM, "libmount");
  const int result = mnt_table_parse_mtab(table.get(), nullptr);
  if (result != 0) throw system_error(result < 0 ? -result : EIO, "reading the mount table");
  std::vector<NotedMount> found;
  for_each_mount(table, [&](libmnt_fs* fs) {
    char* value = nullptr;
    size_t length = 0;
    const char* options = mnt_fs_get_user_options(fs);
    if (options == nullptr || mnt_optstr_get_option(options, option.c_str(), &value, &length) != 0 || value == nullptr)
      return;
    found.push_back({to_info(fs), std::string(value, length)});
  });
  return found;
}

std::vector<MountInfo> find_mounts_on(int id) {
  return mounts_where([id](const MountInfo& info) { return info.parent_id == id && info.id != id; });
}

}  // namespace erofs_oci
