// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "daemon/image.h"
#include "daemon/open_input.h"
#include "daemon/source_opener.h"
#include "daemon/store.h"
#include "index/builder.h"

namespace erofs_oci {

/// Builds in this process, and waits: for a daemon that serves one command, and for workers. `store` must
/// outlive it.
IndexBuild build_in_process(Store& store);

/// The image's layers, ready to be read from their start to their end, and what the image says of them.
std::vector<LayerInput> layers_to_index(Image& image, const std::vector<size_t>& numbers);

/// The image, or the layer of it, that `key` is of, likewise.
ImageInput image_to_index(Image& image, const IndexKey& key);

/// On all processors, with scratch files beside the store's own, telling `stage`, which must outlive the
/// build, a few times a second.
BuildOptions build_options(const Store& store, const StageSink& stage);

}  // namespace erofs_oci
