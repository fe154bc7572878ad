// SPDX-License-Identifier: Apache-2.0
#include "cli/cache_table.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>

#include "base/text.h"

namespace erofs_oci {
namespace {

constexpr size_t kShownDigits = 12;

std::string spans_of(const CachedLayerReport& layer) {
  if (layer.spans_kept == layer.spans) return fmt::format("all {}", layer.spans);
  return fmt::format("{}/{}", layer.spans_kept, layer.spans);
}

std::string line_of(const CachedLayerReport& layer) {
  return fmt::format(
      "sha256:{}  {:<5}  {:>13}  {:>10}  {:%F %R}{}{}{}\n", layer.layer.hex().substr(0, kShownDigits),
      layer.table, spans_of(layer), human_size(layer.bytes_on_disk),
      fmt::localtime(static_cast<std::time_t>(layer.last_used)), layer.pinned ? "  pinned" : "",
      layer.mounts.empty() ? "" : "  ", fmt::join(layer.mounts, ","));
}

}  // namespace

std::string cache_table(const CacheListReply& cache) {
  std::string table = fmt::format("{:<19}  {:<5}  {:>13}  {:>10}  {:<16}  {}\n", "LAYER", "BY", "SPANS",
                                  "ON DISK", "LAST USED", "MOUNTS");
  uint64_t total = 0;
  for (const CachedLayerReport& layer : cache.layers) {
    table += line_of(layer);
    total += layer.bytes_on_disk;
  }
  return table + fmt::format("{} on disk\n", human_size(total));
}

}  // namespace erofs_oci
