// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cstdio>

#include "base/error.h"
#include "base/text.h"
#include "cli/access_plot.h"
#include "cli/commands.h"
#include "cli/daemon_client.h"
#include "cli/progress.h"
#include "cli/termination.h"
#include "config/definition_file.h"
#include "control/mount_state.h"

namespace erofs_oci {
namespace {

/// Of the daemon that serves the mount: the service's, or one of `run`.
std::string socket_of(const std::string& name) {
  check_mount_name(name);
  const auto state = MountStates().load(name);
  if (!state) throw Error(ErrorKind::not_found, "is not mounted");
  return state->control_socket;
}

}  // namespace

int prefetch_command(const std::string& name, const std::string& rate) {
  require_root("prefetch");
  const Termination termination;
  PrefetchRequest request{.name = name, .rate = std::nullopt};
  if (!rate.empty()) request.rate = parse_size(rate);
  PrefetchReply reply;
  {
    ProgressDisplay display(name);
    reply = with_context(name, [&] {
      return DaemonClient(socket_of(name), &termination).prefetch(request, [&](const OpenProgress& progress) {
        display.show(progress);
      });
    });
  }
  fmt::print("{}: all of its data is on disk, {}\n", name, human_size(reply.bytes));
  return 0;
}

int plot_command(const std::string& name) {
  fmt::print("{}", access_plot(with_context(name, [&] {
               return DaemonClient(socket_of(name), nullptr, kBriefLimit).accesses(name);
             })));
  if (std::fflush(stdout) != 0) throw errno_error("standard output");
  return 0;
}

}  // namespace erofs_oci
