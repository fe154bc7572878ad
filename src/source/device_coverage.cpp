// SPDX-License-Identifier: Apache-2.0
#include "source/device_coverage.h"

namespace erofs_oci {

DeviceCoverage::DeviceCoverage(std::shared_ptr<const MappedDevice> device) : device_(std::move(device)) {
  const auto& streams = device_->streams();
  for (const auto& stream : streams) wanted_.emplace_back(stream->spans->span_count());
  for (const Extent& extent : device_->map().extents()) {
    if (extent.target == kMetadata) continue;
    const SpanTable& spans = *streams[extent.target]->spans;
    const uint64_t end = std::min(extent.target_offset + extent.length, spans.stream_size());
    if (extent.target_offset >= end) continue;
    std::vector<bool>& wanted = wanted_[extent.target];
    for (size_t span = spans.find(extent.target_offset); span < wanted.size(); ++span) {
      if (spans.output(span).offset >= end) break;
      wanted[span] = true;
    }
  }
}

std::vector<SpanPlace> DeviceCoverage::spans() const {
  std::vector<SpanPlace> places;
  for (uint32_t stream = 0; stream < wanted_.size(); ++stream) {
    for (uint32_t span = 0; span < wanted_[stream].size(); ++span) {
      if (wanted_[stream][span]) places.push_back({stream, span});
    }
  }
  return places;
}

DeviceCoverage::Bytes DeviceCoverage::now() const {
  Bytes bytes;
  const auto& streams = device_->streams();
  for (size_t i = 0; i < streams.size(); ++i) {
    if (!streams[i]->store) continue;
    const std::vector<bool> kept = streams[i]->store->kept();
    for (size_t span = 0; span < wanted_[i].size(); ++span) {
      if (!wanted_[i][span]) continue;
      const uint64_t length = streams[i]->spans->output(span).length;
      bytes.total += length;
      if (kept[span]) bytes.kept += length;
    }
  }
  return bytes;
}

}  // namespace erofs_oci
