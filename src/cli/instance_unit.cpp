// SPDX-License-Identifier: Apache-2.0
#include "cli/instance_unit.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>

#include "base/run_program.h"

namespace erofs_oci {
namespace {

/// sd_booted(3)
bool is_systemd_running() { return ::access("/run/systemd/system", F_OK) == 0; }

/// systemd.exec(5), $SYSTEMD_EXEC_PID
bool is_run_by_unit() {
  const char* const pid = std::getenv("SYSTEMD_EXEC_PID");
  return pid != nullptr && std::string_view(pid) == std::to_string(::getpid());
}

}  // namespace

void stop_instances(const std::vector<std::string>& names) {
  if (names.empty() || !is_systemd_running() || is_run_by_unit()) return;
  std::vector<std::string> units;
  for (const std::string& name : names) units.push_back(fmt::format("erofs-oci@{}.service", name));
  // Not for ever: a unit that is ordered behind one of these may be what has called us, and its stop what is
  // waited for.
  std::vector<const char*> arguments{"timeout", "10s", "systemctl", "stop"};
  for (const std::string& unit : units) arguments.push_back(unit.c_str());
  // It fails where there is no such unit, or systemd is just going: nothing to be said of.
  run_program("/usr/bin/timeout", arguments);
}

}  // namespace erofs_oci
