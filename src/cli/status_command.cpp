// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <map>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/daemon_client.h"
#include "cli/status_table.h"
#include "control/mount_state.h"

namespace erofs_oci {
namespace {

/// What is known of a mount without its daemon.
MountStatus from_state(const MountState& state, const std::string& reason) {
  MountStatus status;
  status.name = state.name();
  status.generation = state.generation;
  status.image = state.definition.image;
  status.image_digest = state.image_digest;
  status.mountpoint = state.definition.mountpoint;
  status.transport = state.transport;
  status.health = Health::failed;
  status.reason = reason;
  status.size_bytes = state.size_bytes;
  return status;
}

bool may_not_ask(const std::string& socket) {
  return ::access(socket.c_str(), W_OK) != 0 && errno == EACCES;
}

/// The mounts of all daemons: the service's, and those of `run`, which the state files name.
class Collector {
 public:
  std::vector<MountStatus> collect(const MountStates& states) {
    ask(kControlSocket);
    for (const std::string& name : states.names()) {
      try {
        if (const auto state = states.load(name)) add_state(*state);
      } catch (const Error& error) {
        logf(LogLevel::warning, "{}: {}; ignoring", name, error.what());
      }
    }
    std::vector<MountStatus> all;
    for (auto& [name, status] : found_) all.push_back(std::move(status));
    return all;
  }
  /// Why the service, which there is, does not answer; then mounts without a state file may be missing. Empty
  /// where it does.
  const std::string& why_incomplete() const { return why_incomplete_; }

 private:
  void add_state(const MountState& state) {
    if (may_not_ask(state.control_socket)) {
      return logf(LogLevel::warning, "{}: is served by a daemon that only root may ask; ignoring",
                  state.name());
    }
    if (!asked_.contains(state.control_socket)) ask(state.control_socket);
    const std::string& silence = asked_[state.control_socket];
    const std::string reason = silence.empty() ? "no daemon serves it; erofs-oci reattach hands it over" : silence;
    found_.try_emplace(state.name(), from_state(state, reason));
  }

  /// Remembers why a daemon does not answer; empty where it does.
  void ask(const std::string& socket) {
    std::string& silence = asked_[socket];
    try {
      for (MountStatus& status : DaemonClient(socket, nullptr, kBriefLimit).status(std::nullopt)) {
        const std::string name = status.name;
        found_.insert_or_assign(name, std::move(status));
      }
    } catch (const Error& error) {
      silence = error.what();
      const int code = error.errno_value();
      if (socket == kControlSocket && code != ENOENT && code != ECONNREFUSED) why_incomplete_ = silence;
    }
  }

  std::map<std::string, std::string> asked_;
  std::string why_incomplete_;
  std::map<std::string, MountStatus> found_;
};

/// "partial, 34 % (9.2 MiB of 27.0 MiB), pinned"
std::string cached_of_total(const std::optional<MountCache>& cache) {
  if (!cache) return "-";
  std::string text(to_string(cache->state));
  if (cache->state == CacheState::partial) text += ", " + cached_share(cache);
  text += fmt::format(" ({} of {})", human_size(cache->kept_bytes), human_size(cache->total_bytes));
  return cache->pinned ? text + ", pinned" : text;
}

void print_one(const MountStatus& mount) {
  const auto row = [](const char* key, const std::string& value) { fmt::print("{:>12}: {}\n", key, value); };
  row("name", mount.name);
  row("health", std::string(to_string(mount.health)) + (mount.reason ? ": " + *mount.reason : ""));
  row("image", mount.image);
  if (mount.image_digest) row("digest", to_string(*mount.image_digest));
  row("mountpoint", mount.mountpoint.value_or("-"));
  row("transport", std::string(mount.transport ? to_string(*mount.transport) : "-"));
  row("size", human_size(mount.size_bytes));
  row("integrity", std::string(to_string(mount.integrity)));
  const Counters& counters = mount.counters;
  row("reads", fmt::format("{} ({}), {} from memory, {} failed", counters.reads, human_size(counters.bytes_read),
                           counters.cache_hits, counters.errors));
  row("cached", cached_of_total(mount.cache));
  row("fetched", fmt::format("{} in {} requests", fetched_of_blobs(counters), counters.fetch_requests));
}

}  // namespace

int status_command(const std::string& name, bool json) {
  if (may_not_ask(kControlSocket))
    throw Error(ErrorKind::denied,
                "you must be in group erofs-oci, or root, to ask the daemon for its mounts");
  Collector collector;
  std::vector<MountStatus> mounts = collector.collect(MountStates());
  const std::string& gap = collector.why_incomplete();
  if (!gap.empty())
    logf(LogLevel::warning, "the service does not answer, so that mounts may be missing here: {}", gap);
  if (!name.empty()) {
    std::erase_if(mounts, [&](const MountStatus& mount) { return mount.name != name; });
    if (mounts.empty()) throw make_error(ErrorKind::not_found, "{}: is not mounted", name);
  }
  if (json) {
    fmt::print("{}\n", to_json(StatusReply{mounts}).dump(2));
  } else if (name.empty()) {
    fmt::print("{}", status_table(mounts));
  } else {
    print_one(mounts.front());
  }
  return gap.empty() ? 0 : 1;
}

}  // namespace erofs_oci
