// SPDX-License-Identifier: Apache-2.0
#include "control/private_daemon.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/ioprio.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <vector>

#include "base/error.h"
#include "base/file.h"

namespace erofs_oci {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kStartLimit{10};
constexpr std::chrono::seconds kStopLimit{10};
constexpr int kBackgroundNice = 10;

/// For the control socket; nobody else may enter it.
fs::path make_folder(const PrivateDaemonOptions& options) {
  std::string pattern = options.parent_folder / "erofs-oci-run.XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr) throw errno_error("{}", pattern);
  if (options.user && ::chown(pattern.c_str(), options.user->uid, options.user->gid) != 0)
    throw errno_error("{}", pattern);
  return pattern;
}

// What follows runs in the child, between fork and exec, of a process that may have threads: only what
// signal-safety(7) allows.

[[noreturn]] void child_fails(const char* what, size_t length) {
  if (::write(STDERR_FILENO, what, length) < 0) {
  }  // there is nobody else to tell
  ::_exit(127);
}

template <size_t N>
[[noreturn]] void child_fails(const char (&what)[N]) {
  child_fails(what, N - 1);
}

/// Where a sandbox forbids it, it is not done: the daemon's own threads lose a little time then.
void yield_to_others() {
  ::setpriority(PRIO_PROCESS, 0, kBackgroundNice);
  ::syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0));
  const int file = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (file >= 0 && ::write(file, "500", 3) < 0) {
  }
  if (file >= 0) ::close(file);
}

[[noreturn]] void become_daemon(const PrivateDaemonOptions& options, int program, char* const* arguments,
                                pid_t parent) {
  if (const auto& user = options.user) {
    if (::setgroups(0, nullptr) != 0 || ::setresgid(user->gid, user->gid, user->gid) != 0 ||
        ::setresuid(user->uid, user->uid, user->uid) != 0) {
      child_fails("erofs-ocid: cannot give up root\n");
    }
  }
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) child_fails("erofs-ocid: no_new_privs failed\n");
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) ::_exit(0);  // it died before it could be waited for
  ::setsid();                             // the terminal's ^C is for the parent, which unmounts first
  if (options.background) yield_to_others();
  ::fexecve(program, arguments, environ);  // it may lie in a folder that only root may enter
  child_fails("erofs-ocid: cannot be run\n");
}

bool wait_for_exit(int pid_fd, std::chrono::milliseconds limit) {
  pollfd event{pid_fd, POLLIN, 0};
  return ::poll(&event, 1, static_cast<int>(limit.count())) == 1;
}

}  // namespace

PrivateDaemon::PrivateDaemon(const PrivateDaemonOptions& options) {
  const UniqueFd executable = open_file(options.program, O_RDONLY);
  folder_ = make_folder(options);
  std::vector<std::string> words{"erofs-ocid", "--listen", socket(), "--state-dir",
                                 options.state_dir.empty() ? folder_ / "state" : options.state_dir};
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ < 0) throw errno_error("fork");
  if (pid_ == 0) become_daemon(options, executable.get(), arguments.data(), parent);
  pid_fd_ = UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
  const auto deadline = std::chrono::steady_clock::now() + kStartLimit;
  while (!fs::is_socket(socket())) {
    if (wait_for_exit(pid_fd_.get(), std::chrono::milliseconds(2)) ||
        std::chrono::steady_clock::now() > deadline) {
      stop();
      throw make_error(ErrorKind::unavailable, "{} did not start; its own message is above",
                       options.program.native());
    }
  }
}

PrivateDaemon::~PrivateDaemon() {
  stop();
}

std::string PrivateDaemon::socket() const {
  return folder_ / "control";
}

void PrivateDaemon::terminate() const {
  ::syscall(SYS_pidfd_send_signal, pid_fd_.get(), SIGTERM, nullptr, 0);
}

void PrivateDaemon::stop() {
  if (pid_ > 0) {
    terminate();
    if (!wait_for_exit(pid_fd_.get(), kStopLimit)) ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  std::error_code ignored;  // what is left of a folder in /run is no harm
  fs::remove_all(folder_, ignored);
}

}  // namespace erofs_oci
