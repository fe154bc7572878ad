// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "control/messages.h"

namespace erofs_oci {

/// A picture of what was read of a mount and when, as SVG 1.1 (https://www.w3.org/TR/SVG11/): a band for each
/// layer, offsets downwards, time to the right. Whatever names hold is escaped.
std::string access_plot(const AccessesReply& record);

}  // namespace erofs_oci
