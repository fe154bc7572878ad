// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "index/extent_map.h"
#include "source/span_place.h"
#include "source/stream.h"

namespace erofs_oci {

/// How much of each span of its streams a device's map leads to: the rest is the archive's own, such as members' headers.
/// Immutable, thread-safe.
class SpanUse {
 public:
  /// Goes through the whole map.
  SpanUse(const ExtentMap& map, const std::vector<std::shared_ptr<const Stream>>& streams);

  /// Bytes; 0 where the span is never read.
  uint64_t of(SpanPlace place) const { return used_[place.stream][place.span]; }
  /// By stream and span.
  const std::vector<std::vector<uint64_t>>& all() const { return used_; }

 private:
  std::vector<std::vector<uint64_t>> used_;
};

}  // namespace erofs_oci
