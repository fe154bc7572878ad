// SPDX-License-Identifier: Apache-2.0
#include "base/byte_range.h"

#include <fmt/format.h>

#include <cassert>

namespace erofs_oci {

std::string to_string(ByteRange range) { return fmt::format("[{}, {})", range.offset, range.end()); }

std::string http_range(ByteRange range) {
  assert(!range.empty());
  return fmt::format("bytes={}-{}", range.offset, range.end() - 1);
}

}  // namespace erofs_oci
