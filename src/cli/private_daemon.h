// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>

#include "base/unique_fd.h"

namespace erofs_oci {

/// A daemon for one command, where there is no service: a child process that listens in a folder of its own. Started by
/// root it runs as user erofs-oci, or nobody, without any right; by anyone else as that user. It ends with its parent.
/// One thread at a time.
class PrivateDaemon {
 public:
  /// Starts it and waits until it listens. Error names what it said where it does not.
  PrivateDaemon();
  /// stop()
  ~PrivateDaemon();

  std::string socket() const;
  /// A pidfd: readable when the daemon has ended.
  int pid_fd() const { return pid_fd_.get(); }
  /// Ends it by SIGTERM, or by SIGKILL where it takes too long, and waits for it.
  void stop();

 private:
  std::filesystem::path folder_;
  pid_t pid_ = -1;
  UniqueFd pid_fd_;
};

}  // namespace erofs_oci
