// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>

#include "config/definition.h"

namespace erofs_oci {

/// The definition as it goes over the control socket and into the state file: the keys and values of the TOML
/// file with sections as objects, and "name".
nlohmann::json to_json(const Definition& definition);

/// The inverse, as strict as parse_definition(): an unknown key is Error invalid.
Definition definition_from_json(const nlohmann::json& object);

}  // namespace erofs_oci
