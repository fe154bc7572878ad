// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <functional>

namespace erofs_oci {

/// Unmounts what is mounted at `mountpoint`, provided that it is mount `id`, and removes its entry from utab.
/// Error busy, with names, where it is in use; not_found where nothing or another mount is there.
/// The filesystem may live on in other mount namespaces. Needs CAP_SYS_ADMIN.
///
/// The kernel lets go of a filesystem once reads under way have ended, also those of readers who are gone; that may be never. While
/// it waits, `waiting` is called every five seconds, on a thread of its own; must not throw.
void unmount(const std::filesystem::path& mountpoint, int id, const std::function<void()>& waiting = {});

/// As unmount(), but also where it is in use: it vanishes from the tree, and whoever has it open goes on
/// reading.
void detach(const std::filesystem::path& mountpoint, int id, const std::function<void()>& waiting = {});

}  // namespace erofs_oci
