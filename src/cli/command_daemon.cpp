// SPDX-License-Identifier: Apache-2.0
#include "cli/command_daemon.h"

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "base/error.h"

namespace erofs_oci {
namespace {

namespace fs = std::filesystem;

constexpr const char* kUser = "erofs-oci";
constexpr const char* kOtherUser = "nobody";
constexpr const char* kStore = "/var/lib/erofs-oci";

PrivateDaemonOptions::User daemon_user() {
  for (const char* name : {kUser, kOtherUser}) {
    if (const passwd* entry = ::getpwnam(name)) return {entry->pw_uid, entry->pw_gid};
  }
  throw make_error(ErrorKind::not_found, "there is neither a user {} nor {} to run the daemon as", kUser,
                   kOtherUser);
}

/// The daemon beside this program, as in a build folder, else where it is installed.
fs::path daemon_program() {
  const fs::path sibling = fs::read_symlink("/proc/self/exe").parent_path() / "erofs-ocid";
  return fs::exists(sibling) ? sibling : fs::path(EROFS_OCID_PATH);
}

bool is_folder_of(const char* path, uid_t uid) {
  struct stat info {};
  return ::stat(path, &info) == 0 && info.st_uid == uid && S_ISDIR(info.st_mode);
}

fs::path named_store() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache != nullptr && *cache == '/') return fs::path(cache) / "erofs-oci";
  const char* home = std::getenv("HOME");
  return home != nullptr && *home == '/' ? fs::path(home) / ".cache/erofs-oci" : fs::path();
}

/// Empty where there is no home, as that of nobody: then nothing is kept.
fs::path user_store() {
  const fs::path store = named_store();
  std::error_code error;
  fs::create_directories(store, error);
  return ::access(store.c_str(), W_OK) == 0 ? store : fs::path();
}

}  // namespace

PrivateDaemonOptions command_daemon() {
  PrivateDaemonOptions options{.program = daemon_program()};
  if (::geteuid() == 0) {
    options.user = daemon_user();
    options.parent_folder = "/run";
    if (is_folder_of(kStore, options.user->uid)) options.state_dir = kStore;
    return options;
  }
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  options.parent_folder = runtime != nullptr ? fs::path(runtime) : fs::temp_directory_path();
  options.state_dir = user_store();
  if (!options.state_dir.empty()) options.cache_dir = options.state_dir / "spans";
  return options;
}

}  // namespace erofs_oci
