// SPDX-License-Identifier: Apache-2.0
#include "base/real_path.h"

#include <algorithm>
#include <string>
#include <system_error>
#include <vector>

#include "base/bytes.h"
#include "base/file.h"

namespace erofs_oci {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxSymlinks = 40;  // as in the kernel, MAXSYMLINKS
constexpr int kMountPointField = 4;
/// Of a hundred thousand mounts, the kernel's limit (fs.mount-max).
constexpr uint64_t kMaxMountInfo = 64 * kMiB;

/// The next word of `text`, which is taken off.
std::string_view take_until(std::string_view& text, char end) {
  const std::string_view word = text.substr(0, text.find(end));
  text.remove_prefix(std::min(word.size() + 1, text.size()));
  return word;
}

/// Space, tab, newline and backslash are written as "\040".
std::string unescape(std::string_view text) {
  const auto is_octal = [&](size_t at) { return at < text.size() && text[at] >= '0' && text[at] <= '7'; };
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || !is_octal(i + 1) || !is_octal(i + 2) || !is_octal(i + 3)) {
      plain += text[i];
      continue;
    }
    plain += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
    i += 3;
  }
  return plain;
}

/// Puts the components of `path` before those that are still to be walked, of which the next is the last.
void push_components(std::vector<fs::path>& left, const fs::path& path) {
  std::vector<fs::path> components(path.begin(), path.end());
  std::erase_if(components, [](const fs::path& component) { return component.empty() || component == "."; });
  left.insert(left.end(), components.rbegin(), components.rend());
}

}  // namespace

MountPoints parse_mount_points(std::string_view mountinfo) {
  MountPoints points;
  while (!mountinfo.empty()) {
    std::string_view line = take_until(mountinfo, '\n');
    for (int field = 0; field < kMountPointField; ++field) take_until(line, ' ');
    std::string& type = points[unescape(take_until(line, ' '))];
    while (!line.empty() && take_until(line, ' ') != "-") continue;  // options, of any number
    type = take_until(line, ' ');
  }
  return points;
}

MountPoints current_mount_points() {
  return parse_mount_points(read_text_file("/proc/self/mountinfo", kMaxMountInfo));
}

fs::path real_path(const fs::path& path, const MountPoints& mount_points) {
  fs::path done = "/";
  std::vector<fs::path> left;
  push_components(left, path);
  for (int symlinks = 0; !left.empty();) {
    const fs::path component = left.back();
    const fs::path next = component == ".." ? done.parent_path() : done / component;  // "/" replaces all
    if (next != "/" && mount_points.contains(next)) break;
    left.pop_back();
    std::error_code error;
    const fs::path target = fs::read_symlink(next, error);
    if (error) {  // it is none, or there is nothing
      done = next;
    } else if (++symlinks > kMaxSymlinks) {
      return path;
    } else {
      push_components(left, target);
    }
  }
  for (; !left.empty(); left.pop_back()) done /= left.back();
  return done;
}

}  // namespace erofs_oci
