// SPDX-License-Identifier: Apache-2.0
#include "daemon/stored_descriptors.h"

#include <fmt/ranges.h>
#include <poll.h>

#include <ranges>

#include "base/error.h"
#include "base/log.h"

namespace erofs_oci {
namespace {

constexpr size_t kGenerationLength = 32;

std::set<std::string> generations_of(const MountStates& states) {
  std::set<std::string> generations;
  for (const std::string& name : states.names()) {
    if (const auto state = states.load(name)) generations.insert(state->generation);
  }
  return generations;
}

/// Whether the kernel still holds the other end of the connection.
bool is_connected(const StoredMount& mount) {
  const auto connection = mount.find(kStoredConnection);
  if (connection == mount.end()) return false;
  pollfd entry{connection->second.get(), 0, 0};
  return ::poll(&entry, 1, 0) == 0;
}

}  // namespace

std::string stored_name(const std::string& generation, std::string_view part) {
  return fmt::format("{}.{}", generation, part);
}

StoredMounts sort_stored(std::map<std::string, UniqueFd> passed, ServiceManager& manager) {
  StoredMounts stored;
  for (auto& [name, fd] : passed) {
    const std::string generation = name.substr(0, kGenerationLength);
    if (is_generation(generation) && name.size() > kGenerationLength + 1 && name[kGenerationLength] == '.') {
      stored[generation].emplace(name.substr(kGenerationLength + 1), std::move(fd));
      continue;
    }
    logf(LogLevel::notice, "{}: a descriptor of this name was kept, by whom is not known; dropping it", name);
    manager.forget(name);
  }
  return stored;
}

void drop_unclaimed(StoredMounts& stored, const MountStates& states, ServiceManager& manager) try {
  if (stored.empty()) return;
  const std::set<std::string> claimed = generations_of(states);
  std::erase_if(stored, [&](const auto& entry) {
    const auto& [generation, parts] = entry;
    if (claimed.contains(generation) || is_connected(parts)) return false;
    logf(LogLevel::notice, "dropping what was kept for a mount that is no more ({}): {}", generation,
         fmt::join(std::views::keys(parts), ", "));
    forget(generation, parts, manager);
    return true;
  });
} catch (const Error& error) {
  logf(LogLevel::warning, "{}; keeping all stored descriptors", error.what());
}

void forget(const std::string& generation, const StoredMount& parts, ServiceManager& manager) {
  for (const auto& [part, fd] : parts) manager.forget(stored_name(generation, part));
}

}  // namespace erofs_oci
