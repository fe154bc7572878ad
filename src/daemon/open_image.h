// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "cache/disk_cache.h"
#include "daemon/image.h"
#include "daemon/open_input.h"
#include "daemon/store.h"
#include "http/engine.h"
#include "source/worker_pool.h"

namespace erofs_oci {

/// What images are opened by; all of it outlives them.
struct ImageAccess {
  http::Engine& engine;
  WorkerPool& workers;
  Store& store;
  DiskCache* cache = nullptr;  ///< may be null
};

/// The image that the definition names, wherever it comes from. The descriptors stay the input's. Throws
/// Error, and FilesWanted where more files of a layout are needed.
std::unique_ptr<Image> open_image(const OpenInput& input, const ImageAccess& access, const StageSink& stage);

/// What the store remembers an image by (Store::find_ref): image and platform as definitions write them.
std::pair<std::string, std::string> ref_key(const std::string& image,
                                            const std::optional<std::string>& platform);

}  // namespace erofs_oci
