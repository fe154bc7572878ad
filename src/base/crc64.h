// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/bytes.h"

namespace erofs_oci {

/// CRC-64/XZ (ECMA-182, reflected), of `bytes` behind those that `before` is of: for bits that rot, not
/// against anybody who can choose them. About as fast as memory.
uint64_t crc64(Bytes bytes, uint64_t before = 0);

}  // namespace erofs_oci
