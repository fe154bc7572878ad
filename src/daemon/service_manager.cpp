// SPDX-License-Identifier: Apache-2.0
#include "daemon/service_manager.h"

#include <fcntl.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "base/error.h"

namespace erofs_oci {
namespace {

/// How long the manager may take to empty its queue of messages.
constexpr uint64_t kBarrierTimeoutUsec = 60'000'000;

size_t bytes_in_list(const std::string& name) {
  return name.size() + 1;
}

void notify(const std::string& text) {
  ::sd_notify(0, text.c_str());
}

std::string removal_of(const std::string& name) {
  return "FDSTOREREMOVE=1\nFDNAME=" + name;
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
  MutexLock lock(mutex_);
  for (const auto& [name, fd] : found) {
    if (stored_.insert(name).second) name_bytes_ += bytes_in_list(name);
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

/// Before they are: what is stored is never more than what is noted.
void ServiceManager::note_stored(const std::map<std::string, int>& fds) {
  MutexLock lock(mutex_);
  std::vector<std::string> added;
  size_t bytes = 0;
  for (const auto& [name, fd] : fds) {
    if (stored_.contains(name)) continue;
    added.push_back(name);
    bytes += bytes_in_list(name);
  }
  if (bytes > kMaxNameBytes - std::min(name_bytes_, kMaxNameBytes) ||
      added.size() > kMaxStored - std::min(stored_.size(), kMaxStored)) {
    throw make_error(
        ErrorKind::no_space,
        "the service manager keeps {} descriptors of mounts, whose names take {} bytes; its limits, {} and "
        "{} bytes, leave no room for {} more of {} bytes, and without them no restart could go on with the mount; "
        "unmount another one first, or have an oci: folder be a tar file (oci-archive:), which takes one descriptor",
        stored_.size(), name_bytes_, kMaxStored, kMaxNameBytes, added.size(), bytes);
  }
  stored_.insert(added.begin(), added.end());
  name_bytes_ += bytes;
}

void ServiceManager::store(const std::map<std::string, int>& fds) {
  note_stored(fds);
  int result = 0;
  for (const auto& [name, fd] : fds) {
    notify(removal_of(name));
    const std::string text = "FDSTORE=1\nFDPOLL=0\nFDNAME=" + name;
    result = ::sd_pid_notify_with_fds(0, 0, text.c_str(), &fd, 1);
    if (result <= 0) break;
  }
  if (result > 0) result = ::sd_notify_barrier(0, kBarrierTimeoutUsec);
  if (result >= 0) return;
  for (const auto& [name, fd] : fds) forget(name);
  throw system_error(-result, "cannot keep descriptors with the service manager");
}

void ServiceManager::forget(const std::string& name) {
  notify(removal_of(name));
  MutexLock lock(mutex_);
  if (stored_.erase(name) != 0) name_bytes_ -= bytes_in_list(name);
}

}  // namespace erofs_oci
