// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "base/error.h"
#include "cli/command_daemon.h"
#include "cli/commands.h"
#include "cli/daemon_client.h"
#include "cli/inspect_table.h"
#include "cli/termination.h"
#include "config/image_source.h"

namespace erofs_oci {
namespace {

/// Somebody waits at a terminal.
constexpr std::chrono::seconds kPatience{10};

Definition definition_to_inspect(const InspectOptions& options) {
  Definition definition = definition_of_source(options.source, options.image);
  if (!options.image.platform.empty() && parse_image_source(definition.image).single_blob()) {
    throw make_error(ErrorKind::invalid, "{}: has no platforms to choose from", definition.image);
  }
  if (definition.name == kSourceName) definition.start_timeout = kPatience;
  return definition;
}

}  // namespace

int inspect_command(const InspectOptions& options) {
  const Definition definition = definition_to_inspect(options);
  const Termination termination;
  PrivateDaemon daemon(command_daemon());
  const InspectReply image =
      DaemonClient(daemon.socket(), &termination).inspect(definition, [](const OpenProgress&) {});
  if (options.json) {
    fmt::print("{}\n", to_json(image).dump(2));
  } else {
    fmt::print("{}", inspect_table(image));
  }
  return 0;
}

}  // namespace erofs_oci
