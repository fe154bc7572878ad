// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace erofs_oci::erofs {

/// XXH32 as in the xxHash specification (doc/xxhash_spec.md), for filters of xattr names.
uint32_t xxh32(Bytes data, uint32_t seed);

}  // namespace erofs_oci::erofs
