// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "config/definition.h"
#include "config/setting.h"

namespace erofs_oci {

/// Every key of a definition, in the order of the man page. Immutable.
std::span<const Setting<Definition>> definition_settings();

/// What no single key can tell: that image and mountpoint are there, and that the keys go together. Error
/// invalid names the place in `document` and what to change.
void check_definition(const Definition& definition, const Document& document);

}  // namespace erofs_oci
