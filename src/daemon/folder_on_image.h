// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string_view>

#include "base/real_path.h"

namespace erofs_oci {

/// Error invalid, naming `setting`, where `folder` lies on an EROFS, as images are mounted: whoever serves
/// that would wait for itself, and nothing can be written there. Asks none of these filesystems.
void refuse_folder_on_image(const std::filesystem::path& folder, std::string_view setting,
                            const MountPoints& mounts = current_mount_points());

}  // namespace erofs_oci
