// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <set>

#include "base/error.h"
#include "base/text.h"
#include "cli/cache_table.h"
#include "cli/commands.h"
#include "cli/daemon_client.h"
#include "cli/progress.h"
#include "cli/termination.h"
#include "config/definition_file.h"
#include "control/mount_state.h"

namespace erofs_oci {
namespace {

DefinedImage defined_image(const Definition& definition, const std::optional<Digest>& digest) {
  return {definition.name, definition.image, definition.platform, digest};
}

/// What is defined, and what is mounted: its definition may have been changed or removed since, and a daemon
/// that has just been started may not serve it yet.
std::vector<DefinedImage> images_in_use() {
  std::vector<DefinedImage> images;
  for (const std::string& name : list_definitions()) {
    // One that cannot be read must not lose its index.
    images.push_back(defined_image(load_definition(find_definition(name)), std::nullopt));
  }
  const MountStates states;
  for (const std::string& name : states.names()) {
    if (const auto state = states.load(name))
      images.push_back(defined_image(state->definition, state->image_digest));
  }
  return images;
}

/// The one cached layer whose digest is `text` or begins so, with or without "sha256:".
Digest find_layer(const CacheListReply& cache, std::string_view text) {
  constexpr std::string_view kAlgorithm = "sha256:";
  const std::string_view hex = text.starts_with(kAlgorithm) ? text.substr(kAlgorithm.size()) : text;
  std::set<Digest> found;
  for (const CachedLayerReport& layer : cache.layers) {
    if (layer.layer.hex().starts_with(hex)) found.insert(layer.layer);
  }
  if (hex.empty() || found.empty())
    throw make_error(ErrorKind::not_found, "{}: nothing of such a layer is in the cache", text);
  if (found.size() > 1) throw make_error(ErrorKind::invalid, "{}: several layers begin so", text);
  return *found.begin();
}

}  // namespace

int cache_ls_command(bool json) {
  const CacheListReply reply = DaemonClient(kControlSocket, nullptr, kBriefLimit).cache_list();
  if (json) {
    fmt::print("{}\n", to_json(reply).dump(2));
  } else {
    fmt::print("{}", cache_table(reply));
  }
  return 0;
}

int cache_verify_command() {
  require_root("cache verify");
  const Termination termination;
  CacheVerifyReply reply;
  {
    ProgressDisplay display("cache");
    reply = DaemonClient(kControlSocket, &termination).cache_verify([&](const OpenProgress& progress) {
      display.show(progress);
    });
  }
  for (const DamagedSpanReport& damaged : reply.damaged)
    fmt::print("{}: span {} was damaged; it is fetched again when it is read\n", to_string(damaged.layer),
               damaged.span);
  fmt::print("{} spans ({}), {} damaged\n", reply.spans, human_size(reply.bytes), reply.damaged.size());
  return reply.damaged.empty() ? 0 : 1;
}

int cache_rm_command(const std::string& layer) {
  require_root("cache rm");
  DaemonClient daemon;
  CacheRemoveRequest request;
  if (!layer.empty()) request.layer = find_layer(daemon.cache_list(), layer);
  fmt::print("freed {}\n", human_size(daemon.cache_remove(request).freed_bytes));
  return 0;
}

int cache_gc_command(bool dry_run) {
  require_root("cache gc");
  const CollectRequest request{images_in_use(), dry_run};
  const CollectReply reply = DaemonClient().collect(request);
  uint64_t total = 0;
  for (const CollectedFile& file : reply.removed) {
    fmt::print("{:>10}  {}\n", human_size(file.size_bytes), file.path);
    total += file.size_bytes;
  }
  fmt::print("{} {} of {} files\n", dry_run ? "would free" : "freed", human_size(total),
             reply.removed.size());
  return 0;
}

}  // namespace erofs_oci
