// SPDX-License-Identifier: Apache-2.0
#include "control/private_daemon.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "control/client.h"

namespace erofs_oci {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kStartLimit{10};
constexpr std::chrono::seconds kStopLimit{10};
constexpr int kBackgroundNice = 19;
/// ioprio_set(2): IOPRIO_WHO_PROCESS, and the idle class. Of <linux/ioprio.h>, which some kernels' headers have in C only.
constexpr int kIoPriorityOfProcess = 1;
constexpr int kIdleIoPriority = 3 << 13;

constexpr const char* kFolderName = "erofs-oci-run.";
constexpr const char* kLockName = "lock";
/// Between the making of a folder and the locking of its lock.
constexpr std::chrono::seconds kUnlocked{30};
constexpr int kBacklog = 256;

/// What a daemon looks at: the resolver, curl and the log. All else is its maker's own business.
constexpr auto kPassedOn = std::to_array<std::string_view>(
    {"PATH",         "LANG",           "LC_ALL",      "LC_CTYPE",      "LC_MESSAGES",  "TZ",
     "TMPDIR",       "JOURNAL_STREAM", "http_proxy",  "https_proxy",   "HTTPS_PROXY",  "all_proxy",
     "ALL_PROXY",    "no_proxy",       "NO_PROXY",    "SSL_CERT_FILE", "SSL_CERT_DIR", "ASAN_OPTIONS",
     "LSAN_OPTIONS", "UBSAN_OPTIONS",  "TSAN_OPTIONS"});

std::vector<char*> passed_environment() {
  std::vector<char*> passed;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    if (std::ranges::find(kPassedOn, text.substr(0, text.find('='))) != kPassedOn.end())
      passed.push_back(*entry);
  }
  passed.push_back(nullptr);
  return passed;
}

/// Empty where somebody holds it.
UniqueFd try_lock(const fs::path& path, int flags) {
  UniqueFd lock(::open(path.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | flags, 0600));
  if (lock && ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) lock.reset();
  return lock;
}

/// Whether `folder` is our user's, and old enough to be locked if it is in use.
bool is_own_and_settled(const fs::path& folder) {
  struct stat info {};
  return ::lstat(folder.c_str(), &info) == 0 && S_ISDIR(info.st_mode) && info.st_uid == ::geteuid() &&
         ::time(nullptr) - info.st_mtime > kUnlocked.count();
}

/// What daemons of killed processes left.
void remove_left_folders(const fs::path& parent) {
  std::error_code error;
  for (fs::directory_iterator entry(parent, error), end; !error && entry != end; entry.increment(error)) {
    const fs::path& folder = entry->path();
    if (!folder.filename().native().starts_with(kFolderName) || !is_own_and_settled(folder)) continue;
    std::error_code ignored;
    if (const UniqueFd lock = try_lock(folder / kLockName, 0)) fs::remove_all(folder, ignored);
  }
}

/// Mode 0700, as mkdtemp(3) makes it.
fs::path make_folder(const fs::path& parent) {
  std::string pattern = parent / (std::string(kFolderName) + "XXXXXX");
  if (::mkdtemp(pattern.data()) == nullptr) throw errno_error("{}", pattern);
  return pattern;
}

/// What the daemon keeps, where that goes with it: its own, in a folder that it cannot enter by a path.
UniqueFd make_state_folder(const fs::path& path, const PrivateDaemonOptions& options) {
  if (::mkdir(path.c_str(), 0700) != 0) throw errno_error("{}", path.native());
  if (options.user && ::chown(path.c_str(), options.user->uid, options.user->gid) != 0)
    throw errno_error("{}", path.native());
  return open_file(path, O_PATH | O_DIRECTORY);
}

UniqueFd listen_on(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    throw make_error(ErrorKind::invalid, "{}: is too long for a socket's path", path);
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!listener || ::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::chmod(path.c_str(), 0600) != 0 || ::listen(listener.get(), kBacklog) != 0) {
    throw errno_error("{}", path);
  }
  return listener;
}

/// What the child needs, made before the fork.
struct Child {
  int program;
  int listener;
  int folder;  ///< to work in; -1: where its maker does
  char* const* arguments;
  char* const* environment;
  pid_t parent;
};

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
  ::syscall(SYS_ioprio_set, kIoPriorityOfProcess, 0, kIdleIoPriority);
  const int file = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (file >= 0 && ::write(file, "500", 3) < 0) {
  }
  if (file >= 0) ::close(file);
}

[[noreturn]] void become_daemon(const PrivateDaemonOptions& options, const Child& child) {
  if (::fcntl(child.listener, F_SETFD, 0) != 0) child_fails("erofs-ocid: cannot pass its socket on\n");
  if (child.folder >= 0 && ::fchdir(child.folder) != 0) child_fails("erofs-ocid: cannot enter its folder\n");
  if (const auto& user = options.user) {
    if (::setgroups(0, nullptr) != 0 || ::setresgid(user->gid, user->gid, user->gid) != 0 ||
        ::setresuid(user->uid, user->uid, user->uid) != 0) {
      child_fails("erofs-ocid: cannot give up root\n");
    }
  }
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) child_fails("erofs-ocid: no_new_privs failed\n");
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != child.parent) ::_exit(0);  // it died before it could be waited for
  ::setsid();                                   // the terminal's ^C is for the parent, which unmounts first
  if (options.background) yield_to_others();
  ::fexecve(child.program, child.arguments,
            child.environment);  // it may lie in a folder that only root may enter
  child_fails("erofs-ocid: cannot be run\n");
}

bool wait_for_exit(int pid_fd, std::chrono::milliseconds limit) {
  pollfd event{pid_fd, POLLIN, 0};
  return ::poll(&event, 1, static_cast<int>(limit.count())) == 1;
}

}  // namespace

PrivateDaemon::PrivateDaemon(const PrivateDaemonOptions& options) {
  const UniqueFd executable = open_file(options.program, O_RDONLY);
  remove_left_folders(options.parent_folder);
  folder_ = make_folder(options.parent_folder);
  try {
    lock_ = try_lock(folder_ / kLockName, O_CREAT | O_EXCL);
    if (!lock_) throw errno_error("{}", (folder_ / kLockName).native());
    start(options, executable.get());
    wait_until_it_answers(options.program);
  } catch (...) {
    stop();
    throw;
  }
}

void PrivateDaemon::start(const PrivateDaemonOptions& options, int executable) {
  const UniqueFd listener = listen_on(socket());
  UniqueFd state;
  if (options.state_dir.empty()) state = make_state_folder(folder_ / "state", options);
  std::vector<std::string> words{"erofs-ocid", "--listen-fd", std::to_string(listener.get()), "--state-dir",
                                 options.state_dir.empty() ? "." : options.state_dir};
  if (!options.cache_dir.empty()) words.insert(words.end(), {"--cache-dir", options.cache_dir});
  words.insert(words.end(), options.arguments.begin(), options.arguments.end());
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const std::vector<char*> environment = passed_environment();
  const Child child{executable,       listener.get(),     state ? state.get() : -1,
                    arguments.data(), environment.data(), ::getpid()};
  pid_ = ::fork();
  if (pid_ < 0) throw errno_error("fork");
  if (pid_ == 0) become_daemon(options, child);
  pid_fd_ = UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
}

/// That its socket is there says nothing: we made it.
void PrivateDaemon::wait_until_it_answers(const fs::path& program) {
  try {
    const Deadline deadline = std::chrono::steady_clock::now() + kStartLimit;
    Client(socket(), deadline).call("List", nlohmann::json::object(), {}, deadline);
  } catch (const Error& error) {
    if (is_interruption(error)) throw;
    throw make_error(ErrorKind::unavailable, "{} did not start; its own message is above", program.native());
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
