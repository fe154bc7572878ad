// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <vector>

#include "config/definition.h"

namespace erofs_oci {

/// What has to happen for a changed key to take effect on a mount that is there.
enum class TakesEffect {
  on_reload,   ///< policy: `erofs-oci reload` applies it
  on_boot,     ///< nothing of the mount itself: what the next boot, or `systemctl daemon-reload`, makes of it
  on_restart,  ///< the mount has to be made anew
};

/// A key whose value differs.
struct DefinitionChange {
  std::string_view key;  ///< with its section: "io.deadline"
  TakesEffect when;
};

/// The keys that differ between two definitions of one mount, in the order of erofs-oci.toml(5).
std::vector<DefinitionChange> changes_between(const Definition& from, const Definition& to);

/// `from` with the values of `to` in the keys that take effect on reload.
Definition with_policy_of(const Definition& from, const Definition& to);

}  // namespace erofs_oci
