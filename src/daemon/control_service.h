// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "control/method.h"
#include "daemon/mount_table.h"
#include "daemon/open_image.h"

namespace erofs_oci {

/// The methods of the control socket over `mounts`, `store` and `cache`, which outlive their use; there need not be
/// a cache.
std::vector<Method> control_methods(MountTable& mounts, Store& store, DiskCache* cache = nullptr);

/// Index, of a daemon for one command: it builds in its own process.
Method index_method(ImageAccess access);

/// Inspect, over images that are opened by `access`, which outlives its use.
Method inspect_method(const ImageAccess& access);

}  // namespace erofs_oci
