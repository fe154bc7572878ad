// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "base/bytes.h"

namespace erofs_oci {

/// `data` as one zstd frame (RFC 8878).
std::vector<std::byte> zstd_compress(Bytes data);

/// Decompresses `data`, one or more whole frames, to exactly out.size() bytes. Error corrupt where it is
/// anything else. Thread-safe.
void zstd_decompress(Bytes data, MutableBytes out);

}  // namespace erofs_oci
