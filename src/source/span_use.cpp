// SPDX-License-Identifier: Apache-2.0
#include "source/span_use.h"

#include <algorithm>

namespace erofs_oci {

SpanUse::SpanUse(const ExtentMap& map, const std::vector<std::shared_ptr<const Stream>>& streams) {
  for (const auto& stream : streams) used_.emplace_back(stream->spans->span_count());
  std::vector<size_t> latest(streams.size());  // most extents begin in the span in which the one before ended
  for (const Extent& extent : map.extents()) {
    if (extent.target == kMetadata) continue;
    const SpanTable& spans = *streams[extent.target]->spans;
    size_t& span = latest[extent.target];
    ByteRange rest = extent.target_range().intersect({0, spans.stream_size()});
    if (rest.empty()) continue;
    if (!spans.output(span).contains({rest.offset, 1})) span = spans.find(rest.offset);
    for (;; ++span) {
      const ByteRange part = spans.output(span).intersect(rest);
      used_[extent.target][span] += part.length;
      rest = ByteRange::from_to(part.end(), rest.end());
      if (rest.empty()) break;
    }
  }
}

}  // namespace erofs_oci
