// SPDX-License-Identifier: Apache-2.0
#include "cli/mount_helper.h"

#include <fmt/format.h>
#include <getopt.h>

#include <algorithm>
#include <array>
#include <system_error>

#include "base/error.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/instance_unit.h"
#include "cli/live_mount.h"
#include "cli/mounter.h"
#include "cli/termination.h"
#include "config/definition_file.h"
#include "config/definition_json.h"
#include "config/mount_options.h"
#include "mount/mount_table.h"

namespace erofs_oci {
namespace {

namespace fs = std::filesystem;

/// For mount(8) and systemd alone (fstab(5), systemd.mount(5)), or without a meaning where nothing is
/// written; "rw" is what mount(8) says where fstab says nothing.
constexpr auto kForOthers = std::to_array<std::string_view>(
    {"rw", "defaults", "auto", "noauto", "user", "nouser", "users", "owner", "group", "nofail", "_netdev",
     "_rnetdev", "async", "sync", "dirsync", "silent", "loud"});
constexpr auto kForOthersPrefixes = std::to_array<std::string_view>({"x-", "X-", "comment=", "user="});

bool is_for_others(std::string_view option) {
  const auto begins = [&](std::string_view prefix) { return option.starts_with(prefix); };
  return option.empty() || std::ranges::any_of(kForOthersPrefixes, begins) ||
         std::ranges::find(kForOthers, option) != kForOthers.end();
}

/// Whose mount it is; nullopt for one that is not ours.
std::optional<std::string> find_name(const MountStates& states, const MountInfo& mount) {
  for (const std::string& name : states.names()) {
    try {
      const auto state = states.load(name);
      const auto live = state ? find_live_mount(*state) : std::nullopt;
      if (live && live->id == mount.id) return name;
    } catch (const Error& error) {
      logf(LogLevel::warning, "{}: {}; ignoring", name, error.what());  // of another mount, perhaps
    }
  }
  for (const MountState& state : recover_states()) {
    const auto live = find_live_mount(state);
    if (live && live->id == mount.id) return state.name();
  }
  return std::nullopt;
}

int mount_by_helper(const HelperArguments& arguments) {
  if (arguments.operands.size() != 2)
    throw Error(ErrorKind::invalid, "needs a definition's name and a directory");
  const std::string& name = arguments.operands[0];
  const fs::path& place = arguments.operands[1];
  const fs::path file = find_definition(name);
  const Definition definition =
      with_context(name, [&] { return with_fstab_options(load_definition(file), arguments.options); });
  if (!is_same_place(definition.mountpoint, place)) {
    throw make_error(ErrorKind::invalid, "{} says that it is mounted on {}, not on {}", file.native(),
                     definition.mountpoint.native(), place.native());
  }
  if (arguments.f) return 0;
  const Termination termination;
  MountStates states;
  with_context(name, [&] { Mounter(states, kControlSocket, report, &termination).mount(definition); });
  return 0;
}

int unmount_by_helper(const HelperArguments& arguments) {
  if (arguments.operands.size() != 1) throw Error(ErrorKind::invalid, "needs a directory");
  if (arguments.lazy)
    throw Error(ErrorKind::invalid,
                "-l would leave a device that nobody ends; use -f, which ends all reads, or neither");
  const fs::path place = arguments.operands[0];
  const auto mounted = find_mount(place);
  if (!mounted || mounted->type == "autofs")
    throw make_error(ErrorKind::not_found, "{}: nothing is mounted there", place.native());
  MountStates states;
  const auto name = find_name(states, *mounted);
  if (!name) {
    throw make_error(ErrorKind::invalid,
                     "{}: what is mounted there, of type {}, is not of erofs-oci; umount -i unmounts it",
                     place.native(), mounted->type);
  }
  with_context(*name, [&] {
    Mounter mounter(states, kControlSocket, report);
    if (!arguments.f) return mounter.unmount(*name);
    if (const auto ended = mounter.end(*name)) mounter.forget_ended(*ended);
  });
  stop_instances({*name});
  return 0;
}

}  // namespace

HelperArguments parse_helper_arguments(int argc, char** argv) {
  HelperArguments arguments;
  ::optind = 0;  // so that getopt(3) begins anew
  ::opterr = 0;
  for (int option; (option = ::getopt(argc, argv, "sfnvlrN:o:t:")) != -1;) {
    switch (option) {
      case 'o':
        arguments.options += fmt::format("{}{}", arguments.options.empty() ? "" : ",", ::optarg);
        break;
      case 'l':
        arguments.lazy = true;
        break;
      case 'f':
        arguments.f = true;
        break;
      case 'N':
        throw Error(ErrorKind::invalid, "cannot mount in another namespace: leave out -N");
      case '?':
        throw make_error(ErrorKind::invalid, "does not know -{:c}", ::optopt);
      default:
        break;  // what does not concern a read-only image
    }
  }
  arguments.operands.assign(argv + ::optind, argv + argc);
  return arguments;
}

Definition with_fstab_options(Definition definition, std::string_view options) {
  while (!options.empty()) {
    const size_t end = std::min(options.find(','), options.size());
    const std::string_view option = options.substr(0, end);
    if (!is_for_others(option)) override_option(definition.options, option);
    options.remove_prefix(std::min(end + 1, options.size()));
  }
  return definition_from_json(to_json(definition));  // which refuses what is not known
}

bool is_same_place(const fs::path& a, const fs::path& b) {
  const auto real = [](const fs::path& path) {
    const fs::path clean = path.has_filename() ? path : path.parent_path();
    std::error_code error;
    const fs::path folder = fs::weakly_canonical(clean.parent_path(), error);
    return error ? clean : folder / clean.filename();
  };
  return a == b || real(a) == real(b);
}

int run_mount_helper(std::string_view program, int argc, char** argv) {
  const HelperArguments arguments = parse_helper_arguments(argc, argv);
  require_root(std::string(program).c_str());
  return program.starts_with('u') ? unmount_by_helper(arguments) : mount_by_helper(arguments);
}

}  // namespace erofs_oci
