// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/daemon_client.h"
#include "config/definition_file.h"

namespace erofs_oci {

int cache_gc_command(bool dry_run) {
  require_root("cache gc");
  CollectRequest request;
  request.dry_run = dry_run;
  for (const std::string& name : list_definitions()) {
    const Definition definition =
        load_definition(find_definition(name));  // one that cannot be read must not lose its index
    request.definitions.push_back({definition.name, definition.image, definition.platform});
  }
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
