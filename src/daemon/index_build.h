// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cache/disk_cache.h"
#include "daemon/image.h"
#include "daemon/open_input.h"
#include "daemon/source_opener.h"
#include "daemon/store.h"
#include "index/builder.h"

namespace erofs_oci {

/// Builds in this process, and waits: for a daemon that serves one command, and for workers. What is decoded
/// is left where `fill` says, as whoever started a worker has it, else goes to `cache`, which may be null.
/// `store` and `cache` must outlive it.
IndexBuild build_in_process(Store& store, DiskCache* cache = nullptr,
                            std::optional<CacheFill> fill = std::nullopt);

/// For the time of a build: room in a cache for the layers that it decodes. At its end the cache takes what
/// is there.
class CacheFilling {
 public:
  /// None where `cache` is null, or the mount or its image has nothing to do with it.
  CacheFilling(DiskCache* cache, const Definition& definition, const Image& image, const IndexKey& key);
  ~CacheFilling();
  CacheFilling(const CacheFilling&) = delete;
  CacheFilling& operator=(const CacheFilling&) = delete;

  /// No room: nothing is to be left.
  const CacheFill& fill() const { return fill_; }

 private:
  DiskCache* const cache_;
  CacheFill fill_;
};

/// The image's layers, ready to be read from their start to their end, and what the image says of them.
std::vector<LayerInput> layers_to_index(Image& image, const std::vector<size_t>& numbers);

/// The image, or the layer of it, that `key` is of, likewise.
ImageInput image_to_index(Image& image, const IndexKey& key);

/// On all processors, with scratch files beside the store's own, telling `stage`, which must outlive the
/// build, a few times a second.
BuildOptions build_options(const Store& store, const StageSink& stage);

}  // namespace erofs_oci
