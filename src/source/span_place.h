// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstdint>

namespace erofs_oci {

/// A span of one of a device's streams.
struct SpanPlace {
  uint32_t stream = 0;
  uint32_t span = 0;
  friend auto operator<=>(const SpanPlace&, const SpanPlace&) = default;
};

}  // namespace erofs_oci
