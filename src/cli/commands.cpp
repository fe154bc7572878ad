// SPDX-License-Identifier: Apache-2.0
#include "cli/commands.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <map>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/command_daemon.h"
#include "cli/instance_unit.h"
#include "cli/live_mount.h"
#include "cli/mounter.h"
#include "cli/progress.h"
#include "cli/reattach_request.h"
#include "cli/termination.h"
#include "config/capabilities.h"
#include "config/definition_file.h"

namespace erofs_oci {
namespace {

/// A request that is there again, as where a connection is lost as soon as it is made, is not obeyed sooner.
constexpr unsigned kPauseSeconds = 1;

/// So often all mounts are looked at.
constexpr int kMaxPasses = 5;

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

bool may_pass(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::unavailable:
    case ErrorKind::busy:
    case ErrorKind::no_space:
    case ErrorKind::system:
      return true;
    default:
      return false;
  }
}

/// False, with a message, where the daemon's request stays.
bool take_request(const ReattachRequest& request) try {
  request.take();
  return true;
} catch (const Error& error) {
  log(LogLevel::error, error.what());
  return false;
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

void report(const std::string& name, const std::string& sentence) {
  logf(LogLevel::info, "{}: {}", name, sentence);
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
      name, [&] { return Mounter(states, kControlSocket, report, &termination).mount(definition); });
  fmt::print("{}: mounted on {} over {}\n", name, state.definition.mountpoint.native(), to_string(state.transport));
  return 0;
}

int umount_command(const std::string& name, bool force) {
  require_root("umount");
  MountStates states;
  Mounter mounter(states, kControlSocket, report);
  std::vector<std::string> unmounted;
  std::map<std::string, MountState> ended;
  const auto unmount = [&](const std::string& each) {
    if (!force) {
      mounter.unmount(each);
    } else if (const auto state = mounter.end(each)) {
      ended.emplace(each, *state);
    }
    unmounted.push_back(each);
  };
  int code = 0;
  if (name.empty()) {
    code = for_all(names_of_mounts(states), unmount);
  } else {
    with_context(name, [&] { unmount(name); });
  }
  // Only when nothing is mounted any more: at shutdown there is little time, which the daemon may let pass.
  const int forgotten = for_all(unmounted, [&](const std::string& each) {
    if (ended.contains(each)) mounter.forget_ended(ended.at(each));
  });
  stop_instances(unmounted);
  return std::max(code, forgotten);
}

int reload_command(const std::string& name) {
  require_root("reload");
  const Definition definition = load_definition(find_definition(name));
  const Termination termination;
  MountStates states;
  const auto left = with_context(name, [&] {
    check_capabilities(definition);
    return Mounter(states, kControlSocket, report, &termination).reload(definition);
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
  bool is_over = true;
  const auto reattach = [&](const std::string& each) {
    try {
      if (Mounter(states, kControlSocket, report).reattach(each)) any = true;
    } catch (const Error& error) {
      if (may_pass(error.kind())) is_over = false;
      throw;
    }
  };
  if (!name.empty()) {
    with_context(name, [&] { with_context("reattaching", [&] { reattach(name); }); });
    return 0;
  }
  // The daemon of a `run` ends with it, and no other is to serve its mount: that would be tried for ever.
  const auto reattach_own = [&](const std::string& each) {
    const auto state = states.load(each);
    if (!state || state->control_socket == kControlSocket) reattach(each);
  };
  const ReattachRequest request;
  const bool is_taken = take_request(request);  // first: what is lost from here on is asked for anew
  // The daemon may have died again behind a mount that was done. Who starts this at its start does not start
  // it twice.
  for (int passes = 0;; ++passes) {
    any = false;
    is_over = true;
    const int code = for_all(states.names(), reattach_own);
    if (any && passes < kMaxPasses) continue;
    if (request.exists()) ::sleep(kPauseSeconds);
    return is_over && is_taken ? code : EX_TEMPFAIL;
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
