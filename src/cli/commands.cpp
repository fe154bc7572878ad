// SPDX-License-Identifier: Apache-2.0
#include "cli/commands.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <cstdio>
#include <functional>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/command_daemon.h"
#include "cli/instance_unit.h"
#include "cli/live_mount.h"
#include "cli/mounter.h"
#include "cli/progress.h"
#include "cli/termination.h"
#include "config/capabilities.h"
#include "config/definition_file.h"

namespace erofs_oci {
namespace {

/// So often all mounts are looked at.
constexpr int kMaxPasses = 5;

/// Sentences about a mount, on standard error: "tools: resolving".
Mounter::Reporter reporter(const std::string& name) {
  return [name](const std::string& sentence) { logf(LogLevel::info, "{}: {}", name, sentence); };
}

/// Calls `work` with the name of each mount, and goes on with the others where one fails. The exit code.
int for_all(const std::vector<std::string>& names, const std::function<void(const std::string& name)>& work) {
  bool good = true;
  for (const std::string& name : names) {
    try {
      work(name);
    } catch (const std::exception& error) {
      logf(LogLevel::error, "{}: {}", name, error.what());
      good = false;
    }
  }
  return good ? 0 : 1;
}

void print_checked(const Definition& definition) {
  fmt::print("{}: is valid\n  image       {}\n  mountpoint  {}\n", definition.name, definition.image,
             definition.mountpoint.native());
}

}  // namespace

Definition definition_of(const std::string& name_or_file) {
  const bool is_file = name_or_file.find('/') != std::string::npos || name_or_file.ends_with(".toml");
  return load_definition(is_file ? std::filesystem::path(name_or_file) : find_definition(name_or_file));
}

void require_root(const char* command) {
  if (::geteuid() != 0) throw make_error(ErrorKind::denied, "{} needs root", command);
}

int mount_command(const std::string& name) {
  require_root("mount");
  const Definition definition = load_definition(find_definition(name));
  const Termination termination;
  MountStates states;
  const MountState state = with_context(
      name, [&] { return Mounter(states, kControlSocket, reporter(name), &termination).mount(definition); });
  fmt::print("{}: mounted on {} over {}\n", name, state.definition.mountpoint.native(), to_string(state.transport));
  return 0;
}

int umount_command(const std::string& name, bool force) {
  require_root("umount");
  MountStates states;
  const auto unmount = [&](const std::string& each) {
    Mounter mounter(states, kControlSocket, reporter(each));
    force ? mounter.end(each) : mounter.unmount(each);
    stop_instance(each);
  };
  if (name.empty()) return for_all(names_of_mounts(states), unmount);
  with_context(name, [&] { unmount(name); });
  return 0;
}

int reload_command(const std::string& name) {
  require_root("reload");
  const Definition definition = load_definition(find_definition(name));
  const Termination termination;
  MountStates states;
  const auto left = with_context(name, [&] {
    check_capabilities(definition);
    return Mounter(states, kControlSocket, reporter(name), &termination).reload(definition);
  });
  if (left.empty()) return 0;
  // Said once more where `systemctl status` shows it, since the unit goes on.
  throw make_error(ErrorKind::unsupported,
                   "{}: policy and credentials are applied; {} changed as well, which takes a restart: systemctl restart "
                   "erofs-oci@{}",
                   name, fmt::join(left, ", "), name);
}

int reattach_command(const std::string& name) {
  require_root("reattach");
  MountStates states;
  bool any = false;
  const auto reattach = [&](const std::string& each) {
    if (Mounter(states, kControlSocket, reporter(each)).reattach(each)) any = true;
  };
  if (!name.empty()) {
    with_context(name, [&] { with_context("reattaching", [&] { reattach(name); }); });
    return 0;
  }
  // The daemon may have died again behind a mount that was done. Who starts this at its start does not start it twice.
  for (int passes = 0;; ++passes) {
    any = false;
    const int code = for_all(states.names(), reattach);
    if (!any || passes == kMaxPasses) return code;
  }
}

int check_command(const std::string& name_or_file, bool online) {
  const Definition definition = definition_of(name_or_file);
  with_context(definition.name, [&] { check_capabilities(definition); });
  if (online) {
    const Termination termination;
    PrivateDaemon daemon(command_daemon());
    ProgressDisplay display(definition.name);
    const OpenReply opened = with_context(definition.name, [&] {
      return DaemonClient(daemon.socket(), &termination)
          .open(definition, std::nullopt, [&](const OpenProgress& progress) { display.show(progress); });
    });
    print_checked(definition);
    if (opened.image_digest) fmt::print("  digest      {}\n", to_string(*opened.image_digest));
    fmt::print("  size        {}\n", human_size(opened.size_bytes));
    return 0;
  }
  print_checked(definition);
  return 0;
}

}  // namespace erofs_oci
