// SPDX-License-Identifier: Apache-2.0
#include "cli/termination.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>

#include "base/error.h"
#include "control/connection.h"

namespace erofs_oci {

Termination::Termination() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGTERM);
  ::sigaddset(&set, SIGINT);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  fd_ = UniqueFd(::signalfd(-1, &set, SFD_CLOEXEC));
  if (!fd_) throw errno_error("signalfd");
}

void Termination::check() const {
  pollfd event{fd_.get(), POLLIN, 0};
  if (::poll(&event, 1, 0) > 0) throw interruption();
}

bool Termination::wait(int pid_fd) const {
  return *wait(pid_fd, std::chrono::milliseconds(-1));
}

std::optional<bool> Termination::wait(int pid_fd, std::chrono::milliseconds limit) const {
  std::array<pollfd, 2> events{{{fd_.get(), POLLIN, 0}, {pid_fd, POLLIN, 0}}};
  int count;
  while ((count = ::poll(events.data(), events.size(), static_cast<int>(limit.count()))) < 0) {
    if (errno != EINTR) throw errno_error("poll");
  }
  if (count == 0) return std::nullopt;
  return events[0].revents != 0;
}

void Termination::take() const {
  signalfd_siginfo info{};
  if (::read(fd_.get(), &info, sizeof info) != sizeof info) throw errno_error("signalfd");
}

}  // namespace erofs_oci
