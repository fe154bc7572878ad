// SPDX-License-Identifier: Apache-2.0
#include "source/span_use.h"

#include <algorithm>

namespace erofs_oci {

SpanUse::SpanUse(const ExtentMap& map, const std::vector<std::shared_ptr<const Stream>>& streams)
    : runs_(streams.size()) {
  for (const Extent& extent : map.extents()) {
    if (extent.target == kMetadata) continue;
    const SpanTable& spans = *streams[extent.target]->spans;
    const ByteRange range = extent.target_range().intersect({0, spans.stream_size()});
    if (!range.empty()) add_extent(extent.target, range, spans);
  }
  for (std::vector<Run>& runs : runs_) {  // a map may lead to a layer's files in any order
    if (std::ranges::is_sorted(runs, {}, &Run::begin)) continue;
    std::ranges::stable_sort(runs, {}, &Run::begin);
    std::vector<Run> unsorted;
    unsorted.swap(runs);
    for (const Run& run : unsorted) add(static_cast<size_t>(&runs - runs_.data()), run);
  }
}

/// A part of a span, whole ones, a part of one.
void SpanUse::add_extent(size_t stream, ByteRange range, const SpanTable& spans) {
  // Most begin in the span in which the one before ended.
  const uint64_t latest = runs_[stream].empty() ? 0 : runs_[stream].back().end() - 1;
  uint64_t begin = spans.output(latest).contains({range.offset, 1}) ? latest : spans.find(range.offset);
  const uint64_t last = spans.output(begin).end() >= range.end() ? begin : spans.find(range.end() - 1);
  const auto add_part = [&](uint64_t span) { add(stream, {span, 1, spans.output(span).intersect(range).length}); };
  const auto is_whole = [&](uint64_t span) { return range.contains(spans.output(span)); };
  if (!is_whole(begin)) add_part(begin++);
  const uint64_t end = begin <= last && !is_whole(last) ? last : last + 1;
  if (begin < end) add(stream, {begin, end - begin, kWhole});
  if (begin <= last && end == last) add_part(last);
}

void SpanUse::add(size_t stream, Run run) {
  std::vector<Run>& runs = runs_[stream];
  if (!runs.empty() && runs.back().begin == run.begin && runs.back().count == 1 && run.count == 1) {
    const bool is_whole = runs.back().used == kWhole || run.used == kWhole;
    runs.back().used = is_whole ? kWhole : runs.back().used + run.used;
  } else {
    runs.push_back(run);
  }
}

uint64_t SpanUse::of(SpanPlace place) const {
  const std::vector<Run>& runs = runs_[place.stream];
  const auto behind = std::ranges::upper_bound(runs, uint64_t{place.span}, {}, &Run::begin);
  return behind == runs.begin() || std::prev(behind)->end() <= place.span ? 0 : std::prev(behind)->used;
}

}  // namespace erofs_oci
