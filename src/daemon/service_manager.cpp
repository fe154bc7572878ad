// SPDX-License-Identifier: Apache-2.0
#include "daemon/service_manager.h"

#include <fcntl.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include <cstdlib>

#include "base/error.h"

namespace erofs_oci {
namespace {

/// How long the manager may take to empty its queue of messages.
constexpr uint64_t kBarrierTimeoutUsec = 60'000'000;

void notify(const std::string& text) {
  ::sd_notify(0, text.c_str());
}

}  // namespace

std::map<std::string, UniqueFd> ServiceManager::take_descriptors() {
  char** names = nullptr;
  const int count = ::sd_listen_fds_with_names(1, &names);
  std::map<std::string, UniqueFd> found;
  for (int i = 0; i < count; ++i) {
    UniqueFd fd(SD_LISTEN_FDS_START + i);
    ::fcntl(fd.get(), F_SETFD, FD_CLOEXEC);
    found.insert_or_assign(names[i], std::move(fd));
    std::free(names[i]);
  }
  std::free(names);
  return found;
}

void ServiceManager::ready(const std::string& text) const {
  notify("READY=1\nSTATUS=" + text);
}
void ServiceManager::status(const std::string& text) const {
  notify("STATUS=" + text);
}
void ServiceManager::stopping() const {
  notify("STOPPING=1");
}
void ServiceManager::watchdog() const {
  notify("WATCHDOG=1");
}

void ServiceManager::reloading() const {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const auto usec = static_cast<uint64_t>(now.tv_sec) * 1'000'000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
  notify(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", usec));
}

std::optional<std::chrono::microseconds> ServiceManager::watchdog_period() {
  uint64_t usec = 0;
  if (::sd_watchdog_enabled(0, &usec) <= 0) return std::nullopt;
  return std::chrono::microseconds(usec / 2);
}

void ServiceManager::store(const std::map<std::string, int>& fds) const {
  int result = 0;
  for (const auto& [name, fd] : fds) {
    forget(name);
    const std::string text = "FDSTORE=1\nFDPOLL=0\nFDNAME=" + name;
    result = ::sd_pid_notify_with_fds(0, 0, text.c_str(), &fd, 1);
    if (result <= 0) break;
  }
  if (result > 0) result = ::sd_notify_barrier(0, kBarrierTimeoutUsec);
  if (result < 0) throw system_error(-result, "cannot keep descriptors with the service manager");
}

void ServiceManager::forget(const std::string& name) const {
  notify("FDSTOREREMOVE=1\nFDNAME=" + name);
}

}  // namespace erofs_oci
