// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "daemon/open_image.h"

namespace erofs_oci {

/// What the image that `input` names is made of, and which indexes of it the store has. Throws as
/// open_image().
InspectReply inspect(const OpenInput& input, const ImageAccess& access, const StageSink& stage);

}  // namespace erofs_oci
