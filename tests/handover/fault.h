// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>

#include "handover/fault_note.h"

namespace erofs_oci {

/// Has a process with the tables of requests of this one die by `fault`; how it ended (waitpid(2)).
inline int die_by(const std::function<void()>& fault) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    constexpr rlimit kNoCore{0, 0};
    ::setrlimit(RLIMIT_CORE, &kNoCore);
    FaultNote::begin();
    fault();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  return status;
}

}  // namespace erofs_oci
