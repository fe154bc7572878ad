// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace erofs_oci::registry {

/// One way in that a 401 offers (RFC 9110, 11.6.1): Bearer
/// realm="https://auth.example.com/token",service="…".
struct Challenge {
  std::string scheme;                             ///< lower case: "bearer", "basic"
  std::map<std::string, std::string> parameters;  ///< names in lower case, values unquoted

  std::optional<std::string> find(const std::string& name) const {
    const auto found = parameters.find(name);
    return found == parameters.end() ? std::nullopt : std::optional(found->second);
  }
};

/// All challenges of one WWW-Authenticate field, which may hold several. What cannot be read ends the list.
std::vector<Challenge> parse_challenges(std::string_view field);

}  // namespace erofs_oci::registry
