// SPDX-License-Identifier: Apache-2.0
#include "config/definition_changes.h"

#include <algorithm>
#include <array>

#include "config/definition_schema.h"

namespace erofs_oci {
namespace {

/// All others take effect on restart. A credential's file is read anew by each reload, whether its name has
/// changed or not; what systemd passes on (LoadCredential=) is a copy that it made when the unit started, and
/// the same until a restart.
constexpr auto kOnReload =
    std::to_array<std::string_view>({"io.on_unavailable", "io.deadline", "io.read_ahead", "cache.pin",
                                     "registry.credential", "start_timeout"});
constexpr auto kOnBoot = std::to_array<std::string_view>({"boot", "automount"});

TakesEffect when(std::string_view key) {
  if (std::ranges::find(kOnReload, key) != kOnReload.end()) return TakesEffect::on_reload;
  if (std::ranges::find(kOnBoot, key) != kOnBoot.end()) return TakesEffect::on_boot;
  return TakesEffect::on_restart;
}

}  // namespace

std::vector<DefinitionChange> changes_between(const Definition& from, const Definition& to) {
  std::vector<DefinitionChange> changes;
  for (const Setting<Definition>& setting : definition_settings()) {
    if (setting.write(from) != setting.write(to)) changes.push_back({setting.key, when(setting.key)});
  }
  return changes;
}

Definition with_policy_of(const Definition& from, const Definition& to) {
  Definition merged = from;
  merged.start_timeout = to.start_timeout;
  merged.registry.credential = to.registry.credential;
  merged.io = to.io;
  merged.cache.pin = to.cache.pin;
  return merged;
}

}  // namespace erofs_oci
