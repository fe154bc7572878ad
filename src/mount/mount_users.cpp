// SPDX-License-Identifier: Apache-2.0
#include "mount/mount_users.h"

#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace erofs_oci {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxUsers = 5;
/// A machine may run 100,000 processes with as many files each; the answer is for somebody who waits.
constexpr auto kTimeLimit = std::chrono::seconds(2);
constexpr uint64_t kMaxMapsBytes = 16 * kMiB;
constexpr uint64_t kMaxMountInfoBytes = 16 * kMiB;

/// Everything below /proc may vanish or be forbidden at any time; then it reads as empty.
std::string read_proc(const fs::path& path, uint64_t limit) {
  try {
    return read_text_file(path, limit);
  } catch (const Error&) {
    return {};
  }
}

bool is_below(const std::string& path, const std::string& folder) {
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

/// By the links' text: to follow them could block on another filesystem.
bool has_link_into(const fs::path& process, const fs::path& target) {
  return std::ranges::any_of(std::to_array({"cwd", "root", "exe"}), [&](const char* name) {
    std::error_code error;
    return is_below(fs::read_symlink(process / name, error).native(), target.native());
  });
}

bool has_open_file(const fs::path& process, int mount_id) {
  const std::string wanted = fmt::format("mnt_id:\t{}\n", mount_id);
  std::error_code error;
  for (fs::directory_iterator entry(process / "fdinfo", error), end; !error && entry != end;
       entry.increment(error)) {
    if (read_proc(entry->path(), 64 * kKiB).find(wanted) != std::string::npos) return true;
  }
  return false;
}

bool has_mapping(const fs::path& process, dev_t device) {
  // proc_pid_maps(5): "address perms offset dev inode path", dev in hexadecimal.
  const std::string wanted = fmt::format(" {:02x}:{:02x} ", major(device), minor(device));
  return read_proc(process / "maps", kMaxMapsBytes).find(wanted) != std::string::npos;
}

bool uses(const fs::path& process, const MountInfo& mount) {
  return has_link_into(process, mount.target) || has_open_file(process, mount.id) ||
         has_mapping(process, mount.device);
}

/// Calls `visit` with the folder of each process until it says false; false where the time was over before.
template <typename Visit>
bool for_each_process(const Visit& visit) {
  const auto deadline = std::chrono::steady_clock::now() + kTimeLimit;
  std::error_code error;
  for (fs::directory_iterator entry("/proc", error), end; !error && entry != end; entry.increment(error)) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    if (parse_u64(entry->path().filename().native()) && !visit(entry->path())) return true;
  }
  return !error;
}

std::string describe(const fs::path& process) {
  std::string name = read_proc(process / "comm", 4 * kKiB);
  while (name.ends_with('\n')) name.pop_back();
  return fmt::format("{} (pid {})", printable(name), process.filename().native());
}

}  // namespace

std::vector<std::string> find_mount_users(const MountInfo& mount) {
  std::vector<std::string> users;
  for (const MountInfo& child : find_mounts_on(mount.id))
    users.push_back("the mount " + printable(child.target.native()));
  for_each_process([&](const fs::path& process) {
    if (uses(process, mount)) users.push_back(describe(process));
    return users.size() <= kMaxUsers;
  });
  if (users.size() > kMaxUsers) {
    users.resize(kMaxUsers);
    users.emplace_back("…");
  }
  return users;
}

bool is_mounted_anywhere(dev_t device) {
  // proc_pid_mountinfo(5): "id parent major:minor root …"; paths have no spaces.
  const std::string wanted = fmt::format(" {}:{} ", major(device), minor(device));
  bool found = false;
  const bool is_known = for_each_process([&](const fs::path& process) {
    found = read_proc(process / "mountinfo", kMaxMountInfoBytes).find(wanted) != std::string::npos;
    return !found;
  });
  return found || !is_known;
}

}  // namespace erofs_oci
