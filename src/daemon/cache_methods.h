// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "cache/disk_cache.h"
#include "control/method.h"
#include "daemon/mount_table.h"

namespace erofs_oci {

/// CacheList, CacheVerify and CacheRemove over `cache`, which may be null, and is then said to be missing.
std::vector<Method> cache_methods(const MountTable& mounts, DiskCache* cache);

}  // namespace erofs_oci
