// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdio>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/mounter.h"
#include "cli/private_daemon.h"

namespace erofs_oci {
namespace {

/// SIGTERM and SIGINT as a descriptor, blocked from here on.
class Termination {
 public:
  Termination() {
    sigset_t set;
    ::sigemptyset(&set);
    ::sigaddset(&set, SIGTERM);
    ::sigaddset(&set, SIGINT);
    ::sigprocmask(SIG_BLOCK, &set, nullptr);
    fd_ = UniqueFd(::signalfd(-1, &set, SFD_CLOEXEC));
    if (!fd_) throw errno_error("signalfd");
  }
  /// Waits for a signal; false when the daemon ends before.
  bool wait(const PrivateDaemon& daemon) const {
    std::array<pollfd, 2> events{{{fd_.get(), POLLIN, 0}, {daemon.pid_fd(), POLLIN, 0}}};
    while (::poll(events.data(), events.size(), -1) < 0) {
      if (errno != EINTR) throw errno_error("poll");
    }
    return events[0].revents != 0;
  }

 private:
  UniqueFd fd_;
};

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

}  // namespace

int run_command(const std::string& file) {
  require_root("run");
  const Definition definition = definition_of(file);
  const Termination termination;
  PrivateDaemon daemon;
  MountStates states;
  Mounter mounter(states, daemon.socket(), [&](const std::string& sentence) {
    logf(LogLevel::info, "{}: {}", definition.name, sentence);
  });
  return with_context(definition.name, [&] {
    mounter.mount(definition);
    say(fmt::format("mounted on {}", definition.mountpoint.native()));
    const bool asked = termination.wait(daemon);
    mounter.unmount(definition.name);
    if (!asked) throw Error(ErrorKind::unavailable, "the daemon ended; unmounted");
    return 0;
  });
}

int export_command(const std::string& name_or_file, const std::string& socket) {
  const Definition definition = definition_of(name_or_file);
  const Termination termination;
  PrivateDaemon daemon;
  return with_context(definition.name, [&] {
    DaemonClient client(daemon.socket());
    client.open(definition, std::nullopt, [&](const OpenProgress& progress) {
      logf(LogLevel::info, "{}: {}", definition.name, progress.stage);
    });
    ExportSocket listener(socket);
    std::vector<UniqueFd> fds;
    fds.push_back(listener.take());
    client.serve({definition.name, random_hex_128(), TransportKind::export_, {0}}, fds);
    fds.clear();
    say("listening on " + socket);
    if (!termination.wait(daemon)) throw Error(ErrorKind::unavailable, "the daemon ended");
    return 0;
  });
}

}  // namespace erofs_oci
