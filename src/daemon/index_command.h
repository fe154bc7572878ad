// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "control/messages.h"
#include "daemon/open_image.h"

namespace erofs_oci {

/// Files that the caller of Index opened for what is built; either may be absent.
struct IndexOutput {
  UniqueFd index;
  UniqueFd zinfo;
};

/// What "erofs-oci index" asks for: builds an index in this process. Throws Error.
IndexReply index_image(const ImageAccess& access, const OpenInput& input, const IndexRequest& request,
                       const IndexOutput& output, const StageSink& stage);

}  // namespace erofs_oci
