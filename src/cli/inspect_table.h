// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "control/messages.h"

namespace erofs_oci {

/// What Inspect found, for people: facts, a table of the layers, the indexes; lines of 80 columns at most,
/// but for a long name.
std::string inspect_table(const InspectReply& image);

}  // namespace erofs_oci
