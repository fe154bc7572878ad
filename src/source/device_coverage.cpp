// SPDX-License-Identifier: Apache-2.0
#include "source/device_coverage.h"

namespace erofs_oci {

std::vector<SpanPlace> DeviceCoverage::spans() const {
  std::vector<SpanPlace> places;
  const auto& used = device_->use().all();
  for (uint32_t stream = 0; stream < used.size(); ++stream) {
    for (uint32_t span = 0; span < used[stream].size(); ++span) {
      if (used[stream][span] != 0) places.push_back({stream, span});
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
    const std::vector<uint64_t>& used = device_->use().all()[i];
    for (size_t span = 0; span < used.size(); ++span) {
      if (used[span] == 0) continue;
      const uint64_t length = streams[i]->spans->output(span).length;
      bytes.total += length;
      if (kept[span]) bytes.kept += length;
    }
  }
  return bytes;
}

}  // namespace erofs_oci
