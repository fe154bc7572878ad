// SPDX-License-Identifier: Apache-2.0
#include "daemon/stored_descriptors.h"

#include <optional>
#include <set>

#include "base/error.h"
#include "base/log.h"

namespace erofs_oci {
namespace {

constexpr const char* kConnection = ".connection";
constexpr const char* kTable = ".table";

/// The generation that a descriptor is named after; nullopt where it is none of ours.
std::optional<std::string> generation_of(const std::string& name) {
  for (const std::string_view suffix : {kConnection, kTable}) {
    if (!name.ends_with(suffix)) continue;
    const std::string generation = name.substr(0, name.size() - suffix.size());
    if (is_generation(generation)) return generation;
  }
  return std::nullopt;
}

std::set<std::string> generations_of(const MountStates& states) {
  std::set<std::string> generations;
  for (const std::string& name : states.names()) {
    if (const auto state = states.load(name)) generations.insert(state->generation);
  }
  return generations;
}

}  // namespace

std::string connection_name(const std::string& generation) {
  return generation + kConnection;
}
std::string table_name(const std::string& generation) {
  return generation + kTable;
}

void drop_unclaimed(std::map<std::string, UniqueFd>& stored, const MountStates& states,
                    const ServiceManager& manager) try {
  if (stored.empty()) return;
  const std::set<std::string> claimed = generations_of(states);
  std::erase_if(stored, [&](const auto& entry) {
    const auto generation = generation_of(entry.first);
    if (!generation || claimed.contains(*generation)) return false;
    logf(LogLevel::notice, "{}: was kept for a mount that is no more; dropping it", entry.first);
    manager.forget(entry.first);
    return true;
  });
} catch (const Error& error) {
  logf(LogLevel::warning, "{}; keeping all stored descriptors", error.what());
}

}  // namespace erofs_oci
