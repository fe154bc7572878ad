// SPDX-License-Identifier: Apache-2.0
#include "cli/status_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"

namespace erofs_oci {
namespace {

using Row = std::array<std::string, 6>;

Row row_of(const MountStatus& mount) {
  return {mount.name,
          std::string(to_string(mount.health)),
          std::string(mount.transport ? to_string(*mount.transport) : "-"),
          cached_share(mount.cache),
          fetched_of_blobs(mount.counters),
          mount.mountpoint.value_or("-")};
}

/// Numbers stand to the right of their columns.
std::string line(const Row& row, const std::array<size_t, 5>& width) {
  return fmt::format("{:<{}}  {:<{}}  {:<{}}  {:>{}}  {:>{}}  {}\n", row[0], width[0], row[1], width[1],
                     row[2], width[2], row[3], width[3], row[4], width[4], row[5]);
}

}  // namespace

std::string fetched_of_blobs(const Counters& counters) {
  if (counters.blob_bytes == 0) return "-";
  return fmt::format("{}/{}", human_size(counters.fetched_bytes), human_size(counters.blob_bytes));
}

std::string cached_share(const std::optional<MountCache>& cache) {
  if (!cache) return "-";
  if (cache->state != CacheState::partial) return std::string(to_string(cache->state));
  const double share = static_cast<double>(cache->kept_bytes) / static_cast<double>(cache->total_bytes);
  return fmt::format("{} %", std::min<uint64_t>(99, static_cast<uint64_t>(100 * share)));
}

std::string status_table(const std::vector<MountStatus>& mounts) {
  std::vector<Row> rows{{"NAME", "HEALTH", "OVER", "CACHED", "FETCHED", "MOUNTPOINT"}};
  for (const MountStatus& mount : mounts) rows.push_back(row_of(mount));
  std::array<size_t, 5> width{};
  for (const Row& row : rows) {
    for (size_t i = 0; i < width.size(); ++i) width[i] = std::max(width[i], row[i].size());
  }
  std::string table = line(rows[0], width);
  for (size_t i = 0; i < mounts.size(); ++i) {
    table += line(rows[i + 1], width);
    if (mounts[i].reason) table += fmt::format("  {}\n", *mounts[i].reason);
  }
  return table;
}

}  // namespace erofs_oci
