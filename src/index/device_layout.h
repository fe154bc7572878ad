// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "index/image_index.h"
#include "index/layer_merger.h"

namespace erofs_oci {

/// Where the files of a merged image lie in its data area.
struct DeviceLayout {
  uint64_t data_size = 0;              ///< whole blocks
  std::vector<Extent> extents;  ///< device offsets count from the start of the data area
};

/// Gives each regular file that the tree reaches blocks of its own, in the order in which the layers hold
/// their data, so that who reads the device from its start to its end reads each layer so. Sets the files'
/// addresses.
DeviceLayout lay_out_data(LayerMerger& merged, uint64_t block_size);

/// The time that most inodes bear, which EROFS can leave out of them; the earliest of several.
int64_t most_common_mtime(const erofs::Tree& tree);

}  // namespace erofs_oci
