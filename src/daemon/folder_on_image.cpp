// SPDX-License-Identifier: Apache-2.0
#include "daemon/folder_on_image.h"

#include <algorithm>

#include "base/error.h"

namespace erofs_oci {
namespace {

namespace fs = std::filesystem;

bool lies_in(const fs::path& path, const fs::path& folder) {
  return std::ranges::mismatch(folder, path).in1 == folder.end();
}

/// The mount that `path`, without symlinks, lies on: of those around it the innermost.
MountPoints::const_iterator mount_of(const fs::path& path, const MountPoints& mounts) {
  auto found = mounts.end();
  for (auto mount = mounts.begin(); mount != mounts.end(); ++mount) {
    const bool is_inner = found == mounts.end() || lies_in(mount->first, found->first);
    if (lies_in(path, mount->first) && is_inner) found = mount;
  }
  return found;
}

}  // namespace

void refuse_folder_on_image(const fs::path& folder, std::string_view setting, const MountPoints& mounts) {
  MountPoints images = mounts;
  std::erase_if(images, [](const auto& mount) { return mount.second != "erofs"; });
  const auto mount = mount_of(real_path(folder, images), mounts);
  if (mount == mounts.end() || mount->second != "erofs") return;
  throw make_error(ErrorKind::invalid,
                   "{} {} lies on the image that is mounted on {}, which it would be needed to serve",
                   setting, folder.native(), mount->first.native());
}

}  // namespace erofs_oci
