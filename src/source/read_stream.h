// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "source/span_loader.h"

namespace erofs_oci {

/// The bytes of a stream range, waiting for them: for checks at start, not for the read path. Throws what the spans'
/// loading failed with. Not for the loader's own threads.
std::vector<std::byte> read_stream(SpanLoader& loader, const std::shared_ptr<const Stream>& stream, ByteRange range);

/// The bytes of a blob range, likewise.
std::vector<std::byte> read_blob(RangeReader& blob, ByteRange range);

}  // namespace erofs_oci
