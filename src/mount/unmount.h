// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace erofs_oci {

/// Unmounts what is mounted at `mountpoint`, provided that it is mount `id`, and removes its entry from utab.
/// Error busy, with names, where it is in use; not_found where nothing or another mount is there.
/// The filesystem may live on in other mount namespaces. Needs CAP_SYS_ADMIN.
void unmount(const std::filesystem::path& mountpoint, int id);

/// As unmount(), but also where it is in use: it vanishes from the tree, and whoever has it open goes on
/// reading.
void detach(const std::filesystem::path& mountpoint, int id);

}  // namespace erofs_oci
