// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"

namespace erofs_oci {

/// How a daemon of one's own is started.
struct PrivateDaemonOptions {
  struct User {
    uid_t uid;
    gid_t gid;
  };
  std::filesystem::path program;        ///< erofs-ocid
  std::filesystem::path parent_folder;  ///< where the folder of its control socket is made
  std::filesystem::path state_dir;      ///< what it keeps; empty: that goes with it
  std::filesystem::path cache_dir;      ///< of data that was read; empty: the service's, to read from
  std::optional<User> user;             ///< whom it becomes; it then has no right at all
  std::vector<std::string> arguments;   ///< more of them
  bool background = false;              ///< others' work goes before its own, and it dies before others
};

/// A daemon for one purpose: a child process that takes calls on a socket in a folder that its maker's user
/// alone may enter, not the user that it becomes, whose other processes are strangers. It gets of the
/// environment what it needs and no more, and ends with the thread that made it. What others left that were
/// killed is removed. One thread at a time, but for terminate().
class PrivateDaemon {
 public:
  /// Starts it and waits until it answers. Error names what it said where it does not.
  explicit PrivateDaemon(const PrivateDaemonOptions& options);
  /// stop()
  ~PrivateDaemon();
  PrivateDaemon(const PrivateDaemon&) = delete;
  PrivateDaemon& operator=(const PrivateDaemon&) = delete;

  std::string socket() const;
  /// A pidfd: readable when the daemon has ended.
  int pid_fd() const { return pid_fd_.get(); }
  /// Asks it to end, without waiting. Thread-safe.
  void terminate() const;
  /// Ends it by SIGTERM, or by SIGKILL where it takes too long, and waits for it.
  void stop();

 private:
  void start(const PrivateDaemonOptions& options, int executable);
  void wait_until_it_answers(const std::filesystem::path& program);

  std::filesystem::path folder_;
  UniqueFd lock_;  ///< held while the folder is in use
  pid_t pid_ = -1;
  UniqueFd pid_fd_;
};

}  // namespace erofs_oci
