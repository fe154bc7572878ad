// SPDX-License-Identifier: Apache-2.0
#include "source/device_coverage.h"

namespace erofs_oci {

std::vector<SpanPlace> DeviceCoverage::spans() const {
  std::vector<SpanPlace> places;
  const auto& runs = device_->use().runs();
  for (uint32_t stream = 0; stream < runs.size(); ++stream) {
    for (const SpanUse::Run& run : runs[stream]) {
      for (uint64_t span = run.begin; span < run.end(); ++span) places.push_back({stream, static_cast<uint32_t>(span)});
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
    for (const SpanUse::Run& run : device_->use().runs()[i]) {
      for (uint64_t span = run.begin; span < run.end(); ++span) {
        const uint64_t length = streams[i]->spans->output(span).length;
        bytes.total += length;
        if (kept[span]) bytes.kept += length;
      }
    }
  }
  return bytes;
}

}  // namespace erofs_oci
