// SPDX-License-Identifier: Apache-2.0
#include "cli/private_daemon.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "control/client.h"

namespace erofs_oci {
namespace {

namespace fs = std::filesystem;

constexpr const char* kUser = "erofs-oci";
constexpr const char* kOtherUser = "nobody";
constexpr std::chrono::seconds kStartLimit{10};
constexpr std::chrono::seconds kStopLimit{10};

struct User {
  uid_t uid;
  gid_t gid;
};

User daemon_user() {
  if (::geteuid() != 0) return {::geteuid(), ::getegid()};
  for (const char* name : {kUser, kOtherUser}) {
    if (const passwd* entry = ::getpwnam(name)) return {entry->pw_uid, entry->pw_gid};
  }
  throw make_error(ErrorKind::not_found, "there is neither a user {} nor {} to run the daemon as", kUser, kOtherUser);
}

/// The daemon beside this program, as in a build folder, else where it is installed.
fs::path daemon_program() {
  const fs::path sibling = fs::read_symlink("/proc/self/exe").parent_path() / "erofs-ocid";
  return fs::exists(sibling) ? sibling : fs::path(EROFS_OCID_PATH);
}

/// For the control socket; nobody else may enter it.
fs::path make_folder(const User& user) {
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  const fs::path parent = ::geteuid() == 0 ? fs::path("/run") : runtime != nullptr ? fs::path(runtime) : fs::temp_directory_path();
  std::string pattern = parent / "erofs-oci-run.XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr) throw errno_error("{}", pattern);
  if (::chown(pattern.c_str(), user.uid, user.gid) != 0) throw errno_error("{}", pattern);
  return pattern;
}

/// What the daemon keeps: the service's own store where that is its user's, else a store that goes with the daemon.
fs::path state_folder(const User& user, const fs::path& folder) {
  constexpr const char* kStore = "/var/lib/erofs-oci";
  struct stat info {};
  const bool own = ::stat(kStore, &info) == 0 && info.st_uid == user.uid && S_ISDIR(info.st_mode);
  return own ? fs::path(kStore) : folder / "state";
}

[[noreturn]] void child_fails(const char* what) {
  ::perror(what);
  ::_exit(127);
}

/// In the child: gives up every right and becomes the daemon.
[[noreturn]] void become_daemon(const User& user, int program, const fs::path& folder, pid_t parent) {
  if (::geteuid() == 0) {
    if (::setgroups(0, nullptr) != 0 || ::setresgid(user.gid, user.gid, user.gid) != 0 ||
        ::setresuid(user.uid, user.uid, user.uid) != 0) {
      child_fails("erofs-ocid: cannot give up root");
    }
  }
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) child_fails("erofs-ocid: no_new_privs");
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) ::_exit(0);  // it died before it could be waited for
  ::setsid();  // the terminal's ^C is for the parent, which unmounts first
  const std::string socket = folder / "control";
  const std::string state = state_folder(user, folder);
  std::string words[] = {"erofs-ocid", "--listen", socket, "--state-dir", state};
  char* arguments[] = {words[0].data(), words[1].data(), words[2].data(), words[3].data(), words[4].data(), nullptr};
  ::fexecve(program, arguments, environ);  // it may lie in a folder that only root may enter
  child_fails("erofs-ocid: exec");
}

bool wait_for_exit(int pid_fd, std::chrono::milliseconds limit) {
  pollfd event{pid_fd, POLLIN, 0};
  return ::poll(&event, 1, static_cast<int>(limit.count())) == 1;
}

}  // namespace

PrivateDaemon::PrivateDaemon() {
  const User user = daemon_user();
  const fs::path program = daemon_program();
  const UniqueFd executable = open_file(program, O_RDONLY);
  folder_ = make_folder(user);
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ < 0) throw errno_error("fork");
  if (pid_ == 0) become_daemon(user, executable.get(), folder_, parent);
  pid_fd_ = UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
  const auto deadline = std::chrono::steady_clock::now() + kStartLimit;
  while (!fs::is_socket(socket())) {
    if (wait_for_exit(pid_fd_.get(), std::chrono::milliseconds(2)) || std::chrono::steady_clock::now() > deadline) {
      stop();
      throw make_error(ErrorKind::unavailable, "{} did not start; its own message is above", program.native());
    }
  }
}

PrivateDaemon::~PrivateDaemon() { stop(); }

std::string PrivateDaemon::socket() const { return folder_ / "control"; }

void PrivateDaemon::stop() {
  if (pid_ > 0) {
    ::kill(pid_, SIGTERM);
    if (!wait_for_exit(pid_fd_.get(), kStopLimit)) ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  std::error_code ignored;  // what is left of a folder in /run is no harm
  fs::remove_all(folder_, ignored);
}

}  // namespace erofs_oci
