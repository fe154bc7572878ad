// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace erofs_oci {

/// Sets how far the kernel reads ahead of sequential readers of `device`, a block device or a filesystem
/// without one (stat(2)'s st_dev), rounded down to KiB: /sys/class/bdi/MAJOR:MINOR/read_ahead_kb. Files open
/// already keep the old value. A fault in a mapped file reads as much around its page.
void set_read_ahead(dev_t device, uint64_t size_bytes);

}  // namespace erofs_oci
