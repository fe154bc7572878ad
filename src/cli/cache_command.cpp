// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/daemon_client.h"
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

}  // namespace

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
