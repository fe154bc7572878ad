// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/mounter.h"
#include "cli/progress.h"
#include "cli/command_daemon.h"
#include "cli/termination.h"

namespace erofs_oci {
namespace {

void say(const std::string& line) {
  fmt::print("{}\n", line);
  std::fflush(stdout);  // whoever started us waits for it
}

/// A listening socket at `path`, removed again when dropped.
class ExportSocket {
 public:
  explicit ExportSocket(std::string path) : path_(std::move(path)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path_.empty() || path_.size() >= sizeof address.sun_path) {
      throw make_error(ErrorKind::invalid, "'{}' cannot be a socket's path: 1 to {} characters", path_,
                       sizeof address.sun_path - 1);
    }
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    fd_ = UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const mode_t mask = ::umask(0177);
    const bool bound = fd_ && ::bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    ::umask(mask);
    if (!bound || ::listen(fd_.get(), SOMAXCONN) != 0) throw errno_error("{}", path_);
  }
  ~ExportSocket() { ::unlink(path_.c_str()); }
  ExportSocket(const ExportSocket&) = delete;

  UniqueFd take() { return std::move(fd_); }

 private:
  std::string path_;
  UniqueFd fd_;
};

/// What runs until a signal ends it is no failure either where the signal comes before it runs.
template <typename Body>
int until_terminated(const Body& body) {
  try {
    return body();
  } catch (const Error& error) {
    if (is_interruption(error)) return 0;
    throw;
  }
}

void open_for_export(DaemonClient& client, const Definition& definition) {
  ProgressDisplay display(definition.name);
  client.open(definition, std::nullopt, [&](const OpenProgress& progress) { display.show(progress); });
}

}  // namespace

int run_command(const std::string& file) {
  require_root("run");
  const Definition definition = definition_of(file);
  const Termination termination;
  PrivateDaemon daemon(command_daemon());
  MountStates states;
  const auto report = [&](const std::string& sentence) {
    logf(LogLevel::info, "{}: {}", definition.name, sentence);
  };
  Mounter mounter(states, daemon.socket(), report, &termination);
  return until_terminated([&] {
    return with_context(definition.name, [&] {
      const MountState state = mounter.mount_own(definition);
      say(fmt::format("mounted on {}", definition.mountpoint.native()));
      const bool asked = termination.wait(daemon.pid_fd());
      mounter.unmount(state.name(), state.generation);
      if (!asked) throw Error(ErrorKind::unavailable, "the daemon ended; unmounted");
      return 0;
    });
  });
}

int export_command(const std::string& name_or_file, const std::string& socket) {
  const Definition definition = definition_of(name_or_file);
  const Termination termination;
  PrivateDaemon daemon(command_daemon());
  return until_terminated([&] {
    return with_context(definition.name, [&] {
      DaemonClient client(daemon.socket(), &termination);
      open_for_export(client, definition);
      ExportSocket listener(socket);
      std::vector<UniqueFd> fds;
      fds.push_back(listener.take());
      client.serve({definition.name, random_hex_128(), TransportKind::export_, {0}}, fds);
      fds.clear();
      say("listening on " + socket);
      if (!termination.wait(daemon.pid_fd())) throw Error(ErrorKind::unavailable, "the daemon ended");
      return 0;
    });
  });
}

}  // namespace erofs_oci
