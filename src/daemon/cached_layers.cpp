// SPDX-License-Identifier: Apache-2.0
#include "daemon/cached_layers.h"

#include <algorithm>

namespace erofs_oci {

DiskCache::Layers cached_layers(const MappedDevice& device) {
  DiskCache::Layers layers;
  for (const auto& stream : device.streams()) {
    auto layer = std::dynamic_pointer_cast<CachedLayer>(stream->store);
    if (layer && std::ranges::find(layers, layer) == layers.end()) layers.push_back(std::move(layer));
  }
  return layers;
}

}  // namespace erofs_oci
