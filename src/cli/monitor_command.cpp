// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cstdio>

#include "base/log.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/daemon_client.h"
#include "cli/termination.h"

namespace erofs_oci {
namespace {

/// A line each, at once: whoever reads it waits for it.
void print(const Event& event, bool as_json) {
  if (as_json) {
    fmt::print("{}\n", to_json(event).dump());
  } else {
    fmt::print("{:<12} {}: {}\n", to_string(event.kind), printable(event.mount), printable(event.message));
  }
  std::fflush(stdout);
}

}  // namespace

int monitor_command(const std::string& name, bool json) {
  const Termination termination;
  const auto on_reply = [&](const MonitorReply& reply) {
    if (reply.lost != 0) logf(LogLevel::warning, "{} events were lost: they came faster than they were read", reply.lost);
    if (reply.event) print(*reply.event, json);
  };
  try {
    DaemonClient(kControlSocket, &termination, kBriefLimit)
        .monitor(name.empty() ? std::nullopt : std::optional(name), on_reply);
  } catch (const Error& error) {
    if (!is_interruption(error)) throw;  // a signal is how it is ended
  }
  return 0;
}

}  // namespace erofs_oci
