// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "control/messages.h"
#include "daemon/background_prefetch.h"
#include "daemon/mount_health.h"
#include "daemon/service_manager.h"
#include "daemon/source_opener.h"
#include "daemon/source_record.h"
#include "daemon/start_trace.h"
#include "daemon/stored_descriptors.h"
#include "daemon/transport.h"
#include "source/prefetch.h"

namespace erofs_oci {

/// The mounts of this daemon, by name: opened, then served. Thread-safe; slow work is done without the lock,
/// and the client sees to it that two of one name never interleave (NAME.lock).
class MountTable {
 public:
  /// `stored` is what the service manager kept from a former life.
  /// What happens to mounts is told to `tell`; threads that serve them have pulses of `pulses`.
  MountTable(SourceOpener& opener, ServiceManager& manager, StoredMounts stored,
             EventSink tell = log_event, Pulses* pulses = nullptr);
  ~MountTable();

  /// Begins to serve again what was stored with all that it takes, each on a thread of its own; what is asked about such a
  /// mount meanwhile waits. What cannot be served so is left to a client (reattach), with a message. Call once, first.
  void resume();
  /// Ends that.
  void stop_resuming();

  struct Opened {
    OpenReply reply;
    std::function<void()> abandon;  ///< closes it again, unless it has been served; empty where it was before
  };
  /// Opens a source; a mount of that name that is served already is left as it is, and described.
  Opened open(OpenInput input, const StageSink& stage);
  /// Serves an opened mount. Without descriptors, on those that were stored under the generation.
  void serve(const ServeRequest& request, std::vector<UniqueFd> fds);
  void close(const CloseRequest& request);
  /// Fetches all of a served mount to disk, in the caller's time. Throws Error, also where that cannot be.
  PrefetchReply prefetch(const PrefetchRequest& request, const Prefetch::Progress& progress,
                         const std::stop_token& stop);
  /// What was read of a mount since it was opened.
  AccessesReply accesses(const std::string& name) const;
  /// Applies policy and credentials to a mount that is served; Error not_found where that generation is not.
  void reload(const ReloadRequest& request, const std::optional<registry::Credentials>& credentials);
  struct Hurried {
    size_t waiting = 0;         ///< reads that are not answered yet
    std::function<void()> end;  ///< has reads wait again as the definition says; empty where there is no such mount
  };
  /// Has no read of the mount wait long for its source, as BeginUnmount says.
  Hurried hurry(const BeginUnmountRequest& request);
  std::vector<MountStatus> status(const std::optional<std::string>& name) const;
  /// Mounts by the cached layers that they use (LayerKey::file_name()).
  std::multimap<std::string, std::string> cache_users() const;

  /// Ends serving; transports that can go on stay stored, with what they owe.
  void shut_down();

 private:
  struct Mount;

  std::shared_ptr<Mount> find(const std::string& name) const;
  std::unique_ptr<Prefetch> prefetch_of_all(Mount& mount, std::optional<uint64_t> rate) const;
  void check_cache_takes(Mount& mount) const;
  std::unique_ptr<BackgroundPrefetch> start_prefetch(Mount& mount, const std::string& generation) const;
  bool had_fault(const std::string& generation) const;
  std::unique_ptr<StartTrace> start_trace(Mount& mount) const;
  std::optional<OpenReply> describe_served(const std::string& name) const;
  std::shared_ptr<Mount> make_mount(OpenInput input, const StageSink& stage);
  void insert(const std::shared_ptr<Mount>& mount);
  void abandon(const std::shared_ptr<Mount>& mount);
  StoredMount parts_of(const ServeRequest& request, std::vector<UniqueFd> fds);
  StoredMount copies_of_stored(const std::string& generation) const;
  void take_over_stored(const std::string& generation);
  std::unique_ptr<Transport> make_transport(const Mount& mount, TransportKind kind, StoredMount parts) const;

  void resume(const std::string& generation, StoredSource source, const std::stop_token& stop);
  void wait_until_resumed(const std::string& name) const;
  void wait_until_resumed(const std::string& name, std::chrono::steady_clock::time_point deadline) const;
  std::optional<std::string> kept_generation(const std::string& name) const;
  void forget_stored(const std::string& generation);
  void give_up_connection(const std::string& generation, const std::string& name, const StoredMount& parts,
                          const std::string& why);

  SourceOpener& opener_;
  ServiceManager& manager_;
  const EventSink tell_;
  Pulses* const pulses_;  // may be null
  mutable Mutex mutex_;
  std::map<std::string, std::shared_ptr<Mount>> mounts_ GUARDED_BY(mutex_);
  StoredMounts stored_ GUARDED_BY(mutex_);  // of which nobody took over
  std::map<std::string, MountStatus> kept_ GUARDED_BY(mutex_);  // what is known of those, by generation
  std::set<std::string> had_fault_
      GUARDED_BY(mutex_);  // generations served by a daemon that died by a fault of its own
  std::set<std::string> resuming_ GUARDED_BY(mutex_);  // names
  mutable CondVar resumed_;
  std::vector<std::jthread> resumers_;  // last: they end before the rest goes
};

}  // namespace erofs_oci
