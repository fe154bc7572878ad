// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cache/disk_cache.h"
#include "source/mapped_device.h"

namespace erofs_oci {

/// The layers that a device keeps on disk, each once.
DiskCache::Layers cached_layers(const MappedDevice& device);

}  // namespace erofs_oci
