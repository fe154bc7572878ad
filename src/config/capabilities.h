// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/definition.h"

namespace erofs_oci {

/// Error unsupported where a definition asks for what this version knows but cannot do: nothing that somebody relies on
/// is passed over in silence.
void check_capabilities(const Definition& definition);

}  // namespace erofs_oci
