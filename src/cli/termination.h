// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>

#include "base/unique_fd.h"

namespace erofs_oci {

/// SIGTERM and SIGINT as a descriptor: blocked from the construction on and for good, so that what a command
/// has begun is undone in order. To be made before any thread. One thread at a time.
class Termination {
 public:
  Termination();

  /// Readable once a signal has come, and from then on.
  int fd() const { return fd_.get(); }
  /// Throws interruption() once a signal has come.
  void check() const;
  /// Waits for a signal; false when `pid_fd`, a pidfd, says before that its process has ended.
  bool wait(int pid_fd) const;
  /// As wait(), but for so long at most; nullopt when neither came.
  std::optional<bool> wait(int pid_fd, std::chrono::milliseconds limit) const;
  /// Takes one signal that has come, so that the next can be waited for.
  void take() const;

 private:
  UniqueFd fd_;
};

}  // namespace erofs_oci
