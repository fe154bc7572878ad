// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "index/extent_map.h"
#include "source/span_place.h"
#include "source/stream.h"

namespace erofs_oci {

/// How much of each span of its streams a device's map leads to: the rest is the archive's own, such as members' headers.
/// Takes memory by the pieces of the map, not by the size of the device. Immutable, thread-safe.
class SpanUse {
 public:
  /// Spans side by side that the map leads to.
  struct Run {
    uint64_t begin;
    uint64_t count;
    uint64_t used;  ///< bytes of each; kWhole: all of it

    uint64_t end() const { return begin + count; }
  };
  static constexpr uint64_t kWhole = UINT64_MAX;

  /// Goes through the whole map.
  SpanUse(const ExtentMap& map, const std::vector<std::shared_ptr<const Stream>>& streams);

  /// Bytes of the span, or kWhole; 0 where it is never read.
  uint64_t of(SpanPlace place) const;
  /// Of each stream, sorted.
  const std::vector<std::vector<Run>>& runs() const { return runs_; }

 private:
  void add_extent(size_t stream, ByteRange range, const SpanTable& spans);
  void add(size_t stream, Run run);

  std::vector<std::vector<Run>> runs_;
};

}  // namespace erofs_oci
