// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "control/messages.h"

namespace erofs_oci {

/// One line a cached layer under a heading, and how much they are in all. It fits a terminal of 80 columns
/// but for the mounts that use a layer, which are never cut.
std::string cache_table(const CacheListReply& cache);

}  // namespace erofs_oci
