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

/// A listening socket at a path, removed again when dropped.
class ExportSocket {
 public:
  /// Sees to it that the path can be taken, before any work is done: a socket on which nobody listens any
  /// more is removed, and nothing else ever is.
  explicit ExportSocket(std::string path) : path_(std::move(path)), address_{} {
    address_.sun_family = AF_UNIX;
    if (path_.empty() || path_.size() >= sizeof address_.sun_path) {
      throw make_error(ErrorKind::invalid, "'{}' cannot be a socket's path: 1 to {} characters", path_,
                       sizeof address_.sun_path - 1);
    }
    path_.copy(address_.sun_path, sizeof address_.sun_path - 1);
    struct stat info {};
    if (::lstat(path_.c_str(), &info) != 0) {
      if (errno != ENOENT) throw errno_error("{}", path_);
    } else if (!S_ISSOCK(info.st_mode)) {
      throw make_error(ErrorKind::busy, "{}: is there already, and no socket", path_);
    } else if (is_stale()) {
      ::unlink(path_.c_str());
    } else {
      throw make_error(ErrorKind::busy, "{}: somebody listens there already", path_);
    }
  }
  ~ExportSocket() {
    if (bound_) ::unlink(path_.c_str());
  }
  ExportSocket(const ExportSocket&) = delete;

  UniqueFd listen() {
    UniqueFd fd = make_socket();
    const mode_t mask = ::umask(0177);
    bound_ = ::bind(fd.get(), reinterpret_cast<sockaddr*>(&address_), sizeof address_) == 0;
    ::umask(mask);
    if (!bound_ || ::listen(fd.get(), SOMAXCONN) != 0) throw errno_error("{}", path_);
    return fd;
  }

 private:
  UniqueFd make_socket() const {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) throw errno_error("{}", path_);
    return fd;
  }
  bool is_stale() {
    const UniqueFd fd = make_socket();
    return ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address_), sizeof address_) != 0 &&
           errno == ECONNREFUSED;
  }

  std::string path_;
  sockaddr_un address_;
  bool bound_ = false;
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

/// The mount of `run`, from its first signal on.
class Ending {
 public:
  Ending(Mounter& mounter, const MountState& state, const Termination& termination, int daemon)
      : mounter_(mounter), state_(state), termination_(termination), daemon_(daemon) {}

  /// Unmounts as soon as nobody uses it, and serves it until then. A second signal takes it out of the tree,
  /// a third ends the reads of those who have it open even so.
  void run() {
    termination_.take();
    while (!try_unmount("it is served until that ends, a further signal detaches it")) {
      const auto again = termination_.wait(daemon_, kPause);
      if (!again) continue;
      if (*again) termination_.take();
      return detach();
    }
  }

  /// Where its daemon is gone nobody can read it any more: what waits for the next one, over nbd for minutes,
  /// waits in vain.
  void run_unserved() {
    if (try_unmount("its daemon is gone, reads of it fail from now on")) return;
    mounter_.detach(state_);
    Mounter::end_device(state_);
  }

 private:
  static constexpr std::chrono::seconds kPause{1};

  /// False where it is in use, after a word on that and on what is to come.
  bool try_unmount(const char* outlook) {
    try {
      mounter_.unmount(state_.name(), state_.generation);
      return true;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::busy) throw;
      if (error.what() != said_) {
        said_ = error.what();
        logf(LogLevel::warning, "{}: {}; {}", state_.name(), said_, outlook);
      }
      return false;
    }
  }

  void detach() {
    mounter_.detach(state_);
    logf(LogLevel::warning, "{}: detached; whoever has it open is served on, a further signal ends that",
         state_.name());
    while (mounter_.is_detached_in_use(state_) && !termination_.wait(daemon_, kPause)) continue;
    mounter_.end_detached(state_);
  }

  Mounter& mounter_;
  const MountState& state_;
  const Termination& termination_;
  const int daemon_;
  std::string said_;
};

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
  Mounter mounter(states, daemon.socket(), report, &termination);
  return until_terminated([&] {
    return with_context(definition.name, [&] {
      const MountState state = mounter.mount_own(definition);
      say(fmt::format("mounted on {}", definition.mountpoint.native()));
      Ending ending(mounter, state, termination, daemon.pid_fd());
      if (termination.wait(daemon.pid_fd())) {
        ending.run();
        return 0;
      }
      ending.run_unserved();
      throw Error(ErrorKind::unavailable, "the daemon ended; unmounted");
    });
  });
}

int export_command(const std::string& name_or_file, const std::string& socket) {
  const Definition definition = definition_of(name_or_file);
  const Termination termination;
  PrivateDaemon daemon(command_daemon());
  return until_terminated([&] {
    return with_context(definition.name, [&] {
      ExportSocket listener(socket);
      DaemonClient client(daemon.socket(), &termination);
      open_for_export(client, definition);
      std::vector<UniqueFd> fds;
      fds.push_back(listener.listen());
      client.serve({definition.name, random_hex_128(), TransportKind::export_, {0}}, fds);
      fds.clear();
      say("listening on " + socket);
      if (!termination.wait(daemon.pid_fd())) throw Error(ErrorKind::unavailable, "the daemon ended");
      return 0;
    });
  });
}

}  // namespace erofs_oci
