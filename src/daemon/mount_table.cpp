// SPDX-License-Identifier: Apache-2.0
#include "daemon/mount_table.h"

#include <pthread.h>

#include <array>
#include <tuple>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "daemon/cached_layers.h"
#include "daemon/crash_on_read.h"
#include "daemon/kept_connection.h"
#include "source/device_coverage.h"

namespace erofs_oci {
namespace {

/// Whoever unmounts asks again and again, and has ten seconds in all.
constexpr std::chrono::seconds kHurryLimit{2};

Counters counters_of(const OpenedSource& source) {
  const ReadCounters& reads = source.device->counters();
  Counters counters;
  counters.reads = reads.reads;
  counters.bytes_read = reads.bytes_read;
  counters.errors = reads.errors;
  counters.cache_hits = reads.hits;
  counters.misses = reads.misses;
  for (const auto& blob : source.blobs) {
    counters.fetch_requests += blob->counters().requests;
    counters.fetched_bytes += blob->counters().bytes_received;
    counters.blob_bytes += blob->size_bytes();
  }
  return counters;
}

std::optional<MountCache> cache_of(const DeviceCoverage& coverage, bool pinned) {
  const auto [kept, total] = coverage.now();
  if (total == 0) return std::nullopt;
  MountCache cache;
  cache.kept_bytes = kept;
  cache.total_bytes = total;
  cache.pinned = pinned;
  if (kept != 0) cache.state = kept == total ? CacheState::complete : CacheState::partial;
  return cache;
}

/// Of a mount that nobody serves yet; so it has no generation.
MountStatus status_of_kept(const StoredSource& source) {
  const Definition& definition = source.input.definition;
  MountStatus status;
  status.name = definition.name;
  status.image = definition.image;
  status.image_digest = source.opened.image_digest;
  status.mountpoint = definition.mountpoint;
  status.transport = source.kind;
  status.size_bytes = source.opened.size_bytes;
  return status;
}

}  // namespace

/// One mount. The transport is destroyed before the source that it reads.
struct MountTable::Mount {
  Definition definition;
  std::optional<SourceRecord> record;  // set once, before others see the mount
  OpenedSource source;
  std::shared_ptr<MountHealth> health;
  Mutex mutex;  // taken before the table's; held while a transport starts or ends
  std::string generation GUARDED_BY(mutex);
  std::optional<TransportKind> kind GUARDED_BY(mutex);
  std::unique_ptr<Transport> transport GUARDED_BY(mutex);
  std::set<std::string, std::less<>> kept_parts GUARDED_BY(mutex);  // with the service manager, under the generation
  bool closed GUARDED_BY(mutex) =
      false;  // somebody found it before, and would serve what nobody finds any more

  std::shared_ptr<const DeviceCoverage> coverage GUARDED_BY(coverage_mutex);  // made when first asked for
  Mutex coverage_mutex;                                                       // nothing is taken inside
  std::unique_ptr<BackgroundPrefetch> prefetch GUARDED_BY(mutex);
  std::unique_ptr<StartTrace> trace GUARDED_BY(mutex);

  std::shared_ptr<const DeviceCoverage> find_coverage() {
    MutexLock lock(coverage_mutex);
    if (!coverage) coverage = std::make_shared<const DeviceCoverage>(source.device);
    return coverage;
  }

  bool is_served() const REQUIRES(mutex) { return transport && !health->has_ended(); }

  OpenReply describe() {
    MutexLock lock(mutex);
    OpenReply reply;
    if (is_served()) reply.generation = generation;
    reply.size_bytes = source.device->size_bytes();
    reply.block_size = source.device->block_size();
    reply.image_digest = source.image_digest;
    reply.index_identity = source.index_identity;
    return reply;
  }

  std::string current_generation() {
    MutexLock lock(mutex);
    return generation;
  }
  /// The connection and what the source is opened from: they lie with the service manager before the first request is taken.
  void keep(ServiceManager& manager, const std::string& new_generation, TransportKind new_kind,
            const StoredMount& parts) REQUIRES(mutex) {
    if (generation != new_generation) forget_kept(manager);
    const StoredMount sources = record->to_stored(new_kind);
    std::map<std::string, int> fds;
    for (const StoredMount* each : {&parts, &sources}) {
      for (const auto& [part, fd] : *each) fds.emplace(stored_name(new_generation, part), fd.get());
    }
    manager.store(fds);
    for (const StoredMount* each : {&parts, &sources}) {
      for (const auto& [part, fd] : *each) kept_parts.insert(part);
    }
  }
  /// After a reload. Whoever dies between the two calls leaves the mount to be handed over by erofs-oci reattach.
  void keep_policy(ServiceManager& manager) REQUIRES(mutex) {
    if (!kind || kept_parts.empty()) return;
    StoredMount sources = record->to_stored(*kind);
    std::map<std::string, int> fds;
    for (const std::string_view part : kPolicyParts) {
      const std::string name = stored_name(generation, part);
      const auto found = sources.find(part);
      if (found == sources.end()) {
        manager.forget(name);
      } else {
        fds.emplace(name, found->second.get());
      }
    }
    manager.store(fds);
    for (const std::string_view part : kPolicyParts) kept_parts.emplace(part);
  }
  void forget_kept(ServiceManager& manager) REQUIRES(mutex) {
    for (const std::string& part : kept_parts) manager.forget(stored_name(generation, part));
    kept_parts.clear();
  }
  void stop() {
    MutexLock lock(mutex);
    if (transport) transport->stop();
  }
  /// Nobody waits any more for what is still being fetched.
  void end() {
    {
      MutexLock lock(mutex);
      prefetch.reset();
      trace.reset();
    }
    const Error unmounted(ErrorKind::unavailable, ECANCELED, "unmounted");
    source.served->close(unmounted);
    for (const auto& blob : source.blobs) blob->fail_pending(unmounted);
    MutexLock lock(mutex);
    closed = true;
    transport.reset();
  }
  void set_trace(std::unique_ptr<StartTrace> started) {
    MutexLock lock(mutex);
    if (!closed) trace = std::move(started);
  }
  bool close_unless_served() {
    MutexLock lock(mutex);
    if (!transport) closed = true;
    return closed;
  }

  MountStatus status() {
    MutexLock lock(mutex);
    MountStatus status;
    status.name = definition.name;
    if (is_served()) status.generation = generation;
    status.image = definition.image;
    status.image_digest = source.image_digest;
    status.mountpoint = definition.mountpoint;
    status.transport = kind;
    std::tie(status.health, status.reason) = health->state();
    status.integrity = source.integrity;
    status.size_bytes = source.device->size_bytes();
    status.counters = counters_of(source);
    status.cache = cache_of(*find_coverage(), definition.cache.pin);
    return status;
  }
};

MountTable::MountTable(SourceOpener& opener, ServiceManager& manager, StoredMounts stored,
                       EventSink tell, Pulses* pulses)
    : opener_(opener), manager_(manager), tell_(std::move(tell)), pulses_(pulses), stored_(std::move(stored)) {}

MountTable::~MountTable() {
  shut_down();
}

std::shared_ptr<MountTable::Mount> MountTable::find(const std::string& name) const {
  MutexLock lock(mutex_);
  const auto found = mounts_.find(name);
  return found == mounts_.end() ? nullptr : found->second;
}

std::optional<OpenReply> MountTable::describe_served(const std::string& name) const {
  const auto mount = find(name);
  if (!mount) return std::nullopt;
  OpenReply reply = mount->describe();
  if (!reply.generation) return std::nullopt;
  return reply;
}

MountTable::Opened MountTable::open(OpenInput input, const StageSink& stage) {
  const std::string name = input.definition.name;
  wait_until_resumed(name);
  if (auto reply = describe_served(name)) return {*std::move(reply), {}};
  const bool is_start = !input.pinned;
  auto mount = make_mount(std::move(input), stage);
  // The client may have given up meanwhile, and its successor have been quicker.
  if (auto reply = describe_served(name)) return {*std::move(reply), {}};
  insert(mount);
  if (is_start) mount->set_trace(start_trace(*mount));
  OpenReply reply = mount->describe();
  reply.kept = kept_generation(name);
  return {std::move(reply), [this, weak = std::weak_ptr(mount)] {
            if (const auto unserved = weak.lock()) abandon(unserved);
          }};
}

std::shared_ptr<MountTable::Mount> MountTable::make_mount(OpenInput input, const StageSink& stage) {
  auto mount = std::make_shared<Mount>();
  mount->definition = input.definition;
  mount->health = input.health = std::make_shared<MountHealth>(input.definition.name, tell_);
  SourceRecord record(input);
  mount->source = opener_.open(std::move(input), stage);
  record.set_opened(mount->describe());
  mount->record.emplace(std::move(record));
  return mount;
}

void MountTable::insert(const std::shared_ptr<Mount>& mount) {
  std::shared_ptr<Mount> former = mount;
  MutexLock lock(mutex_);
  mounts_[mount->definition.name].swap(former);
}

void MountTable::abandon(const std::shared_ptr<Mount>& mount) {
  if (!mount->close_unless_served()) return;
  {
    MutexLock lock(mutex_);
    const auto found = mounts_.find(mount->definition.name);
    if (found == mounts_.end() || found->second != mount) return;
    mounts_.erase(found);
  }
  mount->end();
  logf(LogLevel::debug, "{}: its client left before it was served; closed", mount->definition.name);
}

void MountTable::serve(const ServeRequest& request, std::vector<UniqueFd> fds) {
  wait_until_resumed(request.name);
  const std::shared_ptr<Mount> mount = find(request.name);
  if (!mount) throw Error(ErrorKind::not_found, "the daemon has not opened it");
  MutexLock lock(mount->mutex);
  if (mount->closed) throw Error(ErrorKind::not_found, "the daemon has closed it");
  StoredMount parts = parts_of(request, std::move(fds));  // before what is served is touched
  UnservedConnection unserved(parts);
  mount->transport.reset();  // of a connection that is no more
  if (can_be_kept(request.transport)) mount->keep(manager_, request.generation, request.transport, parts);
  mount->generation = request.generation;
  mount->kind = request.transport;
  mount->health->transport_started();
  try {
    mount->transport = make_transport(*mount, request.transport, std::move(parts));
  } catch (const Error&) {
    mount->forget_kept(manager_);  // the next daemon could not go on with it, either
    throw;
  }
  unserved.release();
  if (!mount->prefetch) mount->prefetch = start_prefetch(*mount, request.generation);
  mount->health->served(mount->definition.image, request.transport);
}

/// Throws where what is prefetched of the mount has no place on disk.
void MountTable::check_cache_takes(Mount& mount) const {
  const DiskCache* const cache = opener_.cache();
  if (cache == nullptr || !cache->writes() || cached_layers(*mount.source.device).empty())
    throw Error(ErrorKind::unsupported, "there is no cache on disk that takes its data");
}

bool MountTable::had_fault(const std::string& generation) const {
  MutexLock lock(mutex_);
  return had_fault_.contains(generation);
}

/// Of all that can be read.
std::unique_ptr<Prefetch> MountTable::prefetch_of_all(Mount& mount, std::optional<uint64_t> rate) const {
  check_cache_takes(mount);
  const DiskCache* const cache = opener_.cache();
  const auto coverage = mount.find_coverage();
  const uint64_t total = coverage->now().total;
  if (total > cache->limit_bytes()) {
    throw make_error(ErrorKind::no_space, "its data ({}) is larger than cache_limit ({})", human_size(total),
                     human_size(cache->limit_bytes()));
  }
  return std::make_unique<Prefetch>(mount.source.device, coverage->spans(), opener_.loader(),
                                    PrefetchOptions{.rate = rate, .neighbours = 2});
}

/// As the definition wants it; null where it wants none, or it cannot be, or the last daemon may have died of
/// it: what is prefetched is in no table of requests, so each further crash would be put down to reads that
/// have nothing to do with it, until they fail.
std::unique_ptr<BackgroundPrefetch> MountTable::start_prefetch(Mount& mount,
                                                               const std::string& generation) const {
  const auto& [mode, rate] = mount.definition.prefetch;
  if (mode != PrefetchMode::all) return nullptr;
  const std::string& name = mount.definition.name;
  if (had_fault(generation)) {
    logf(LogLevel::warning,
         "{}: prefetch: the last daemon died by a fault of its own, which this may have caused; going on without "
         "until the daemon or the mount is restarted, or erofs-oci prefetch {} is called",
         name, name);
    return nullptr;
  }
  try {
    return std::make_unique<BackgroundPrefetch>(name, prefetch_of_all(mount, rate));
  } catch (const Error& error) {
    logf(LogLevel::warning, "{}: prefetch: {}; going on without", name, error.what());
    return nullptr;
  }
}

/// Likewise.
std::unique_ptr<StartTrace> MountTable::start_trace(Mount& mount) const {
  const auto& [mode, rate] = mount.definition.prefetch;
  if (mode != PrefetchMode::trace || !mount.source.image_digest) return nullptr;
  const std::string& name = mount.definition.name;
  try {
    check_cache_takes(mount);
    return std::make_unique<StartTrace>(name, mount.source.device, *mount.source.image_digest,
                                        opener_.store(), opener_.loader(), rate);
  } catch (const Error& error) {
    logf(LogLevel::warning, "{}: prefetch: {}; going on without", name, error.what());
    return nullptr;
  }
}

PrefetchReply MountTable::prefetch(const PrefetchRequest& request, const Prefetch::Progress& progress,
                                   const std::stop_token& stop) {
  wait_until_resumed(request.name);
  const std::shared_ptr<Mount> mount = find(request.name);
  if (!mount) throw Error(ErrorKind::not_found, "is not mounted");
  const auto prefetch =
      prefetch_of_all(*mount, request.rate ? request.rate : mount->definition.prefetch.rate);
  const uint64_t missing = prefetch->run(stop, progress);
  if (missing != 0) {
    throw make_error(ErrorKind::no_space,
                     "{} of {} were evicted meanwhile: cache_limit is small for what is read",
                     human_size(missing), human_size(prefetch->total_bytes()));
  }
  return {prefetch->total_bytes()};
}

AccessesReply MountTable::accesses(const std::string& name) const {
  wait_until_resumed(name);
  const std::shared_ptr<Mount> mount = find(name);
  if (!mount) throw Error(ErrorKind::not_found, "is not mounted");
  const AccessRecord& record = *mount->source.device->record();
  AccessesReply reply;
  reply.name = name;
  reply.image = mount->definition.image;
  reply.image_digest = mount->source.image_digest;
  reply.age_us = static_cast<uint64_t>(record.age().count());
  reply.left_out = record.left_out();
  const auto& streams = mount->source.device->streams();
  for (const auto& stream : streams)
    reply.layers.push_back({stream->blob->name(), stream->spans->stream_size()});
  static constexpr std::array kHow{AccessHow::memory, AccessHow::disk,       AccessHow::fetched,
                                   AccessHow::failed, AccessHow::read_ahead, AccessHow::prefetch};
  for (const Access& access : record.accesses()) {
    reply.accesses.push_back({static_cast<uint64_t>(access.begin.count()),
                              static_cast<uint64_t>(access.duration.count()), access.place.stream,
                              streams[access.place.stream]->spans->output(access.place.span).offset,
                              kHow[static_cast<size_t>(access.kind)]});
  }
  return reply;
}

/// What the client brought, or what is stored.
StoredMount MountTable::parts_of(const ServeRequest& request, std::vector<UniqueFd> fds) {
  if (fds.empty()) {
    MutexLock lock(mutex_);
    auto stored = stored_.extract(request.generation);
    if (!stored.empty()) return std::move(stored.mapped());
  }
  return new_connection(request.transport, std::move(fds));
}

StoredMount MountTable::copies_of_stored(const std::string& generation) const {
  MutexLock lock(mutex_);
  const auto stored = stored_.find(generation);
  if (stored == stored_.end()) throw Error(ErrorKind::not_found, "its connection was closed meanwhile");
  return copies_of(stored->second);
}

void MountTable::take_over_stored(const std::string& generation) {
  MutexLock lock(mutex_);
  stored_.erase(generation);
}

std::unique_ptr<Transport> MountTable::make_transport(const Mount& mount, TransportKind kind, StoredMount parts) const {
  const auto ended = [health = mount.health](const TransportEnd& end) { health->transport_ended(end); };
  const auto given_up = [health = mount.health](ByteRange range) {
    health->read_failed(range, Error(ErrorKind::system, EIO,
                                     "the daemon died three times while it was being read; it is not tried again"));
  };
  const std::string& name = mount.definition.name;
  return serve_connection(kind, std::move(parts), name, crash_on_read(name, mount.source.served), ended, given_up, pulses_);
}

/// Of what this life of the daemon has not taken over.
void MountTable::forget_stored(const std::string& generation) {
  MutexLock lock(mutex_);
  const auto stored = stored_.extract(generation);
  if (!stored.empty()) forget(generation, stored.mapped(), manager_);
}

std::optional<std::string> MountTable::kept_generation(const std::string& name) const {
  MutexLock lock(mutex_);
  for (const auto& [generation, parts] : stored_) {
    const auto known = kept_.find(generation);
    if (known != kept_.end() && known->second.name == name) return generation;
  }
  return std::nullopt;
}

void MountTable::resume() {
  StoredMounts stored;
  {
    MutexLock lock(mutex_);
    for (const auto& [generation, parts] : stored_) {
      stored.emplace(generation, copies_of(parts));
      if (predecessor_faulted(parts)) had_fault_.insert(generation);
    }
  }
  for (const auto& [generation, parts] : stored) {
    try {
      StoredSource source = take_source(parts);
      const std::string name = source.input.definition.name;
      if (const std::string lost = why_lost(source.kind, parts); !lost.empty()) {
        give_up_connection(generation, name, parts, lost);
        continue;
      }
      {
        MutexLock lock(mutex_);
        kept_[generation] = status_of_kept(source);
        if (!resuming_.insert(name).second) throw make_error(ErrorKind::busy, "{} is kept twice", name);
      }
      resumers_.emplace_back([this, generation, shared = std::make_shared<StoredSource>(std::move(source))](
                                 const std::stop_token& stop) { resume(generation, std::move(*shared), stop); });
    } catch (const Error& error) {
      logf(LogLevel::warning, "a connection that was kept ({}): {}; waiting for erofs-oci reattach", generation,
           error.what());
      if (end_connection(parts)) forget_stored(generation);
    }
  }
}

/// Reads that waited for an answer get one by another connection, or, over fuse, an error: better than none.
void MountTable::give_up_connection(const std::string& generation, const std::string& name, const StoredMount& parts,
                                    const std::string& why) {
  const bool replaceable = end_connection(parts);
  forget_stored(generation);
  tell_({.kind = EventKind::connection_lost,
         .mount = name,
         .layer = {},
         .span = {},
         .message = fmt::format("nobody can go on with its connection: {}; {}", why,
                                replaceable ? "waiting for erofs-oci reattach" : "its reads fail; unmount it, and mount it again")});
}

void MountTable::resume(const std::string& generation, StoredSource source, const std::stop_token& stop) {
  ::pthread_setname_np(::pthread_self(), "resume");
  const std::string name = source.input.definition.name;
  try {
    source.input.stop = source.input.left = stop;
    const auto mount = make_mount(std::move(source.input), [](const OpenProgress&) {});
    check_same_source(source.opened, mount->describe());
    MutexLock lock(mount->mutex);
    StoredMount parts = copies_of_stored(generation);
    for (const auto& [part, fd] : parts) mount->kept_parts.insert(part);
    const std::string left = describe_left(source.kind, parts);
    mount->generation = generation;
    mount->kind = source.kind;
    mount->health->transport_started();
    mount->transport = make_transport(*mount, source.kind, std::move(parts));
    take_over_stored(generation);  // until here it is left to reattach if something is thrown
    mount->prefetch = start_prefetch(*mount, generation);
    insert(mount);
    mount->health->served(mount->definition.image, source.kind);
    logf(LogLevel::info, "{}: goes on over {}; {}", name, to_string(source.kind), left);
  } catch (const Error& error) {
    logf(LogLevel::warning, "{}: going on with its connection: {}; waiting for erofs-oci reattach", name, error.what());
    MutexLock lock(mutex_);
    kept_[generation].health = Health::failed;
    kept_[generation].reason = fmt::format("{}; erofs-oci reattach hands it over", error.what());
  }
  MutexLock lock(mutex_);
  resuming_.erase(name);
  resumed_.notify_all();
}

void MountTable::wait_until_resumed(const std::string& name) const {
  MutexLock lock(mutex_);
  while (resuming_.contains(name)) resumed_.wait(mutex_);
}

void MountTable::wait_until_resumed(const std::string& name,
                                    std::chrono::steady_clock::time_point deadline) const {
  MutexLock lock(mutex_);
  while (resuming_.contains(name) && resumed_.wait_until(mutex_, deadline)) continue;
}

void MountTable::stop_resuming() {
  for (std::jthread& resumer : resumers_) resumer.request_stop();
  resumers_.clear();
}

void MountTable::close(const CloseRequest& request) {
  wait_until_resumed(request.name);
  const std::shared_ptr<Mount> mount = find(request.name);
  if (!mount) {
    if (request.generation) forget_stored(*request.generation);
    return;
  }
  const std::string generation = mount->current_generation();
  if (request.generation && *request.generation != generation && !generation.empty()) return;
  {
    MutexLock lock(mutex_);
    const auto found = mounts_.find(request.name);  // another of that name may have been opened meanwhile
    if (found != mounts_.end() && found->second == mount) mounts_.erase(found);
  }
  mount->end();
  {
    MutexLock lock(mount->mutex);
    mount->forget_kept(manager_);
  }
  // One that was opened, but not served, has no generation; its client knows which it was to be.
  forget_stored(generation.empty() ? request.generation.value_or("") : generation);
  mount->health->closed();
}

void MountTable::reload(const ReloadRequest& request, const std::optional<registry::Credentials>& credentials) {
  wait_until_resumed(request.definition.name);
  const std::shared_ptr<Mount> mount = find(request.definition.name);
  if (!mount) throw Error(ErrorKind::not_found, "the daemon does not serve it");
  MutexLock lock(mount->mutex);
  if (mount->closed || mount->generation != request.generation)
    throw Error(ErrorKind::not_found, "the daemon serves another mount of that name");
  opener_.apply_policy(mount->source, request.definition, credentials);
  mount->definition.io = request.definition.io;
  mount->definition.cache.pin = request.definition.cache.pin;
  if (!mount->record) return;
  mount->record->set_policy(request.definition, credentials);
  mount->keep_policy(manager_);
  logf(LogLevel::info, "{}: took over policy and credentials", request.definition.name);
}

MountTable::Hurried MountTable::hurry(const BeginUnmountRequest& request) {
  wait_until_resumed(request.name, std::chrono::steady_clock::now() + kHurryLimit);
  const std::shared_ptr<Mount> mount = find(request.name);
  if (!mount || (request.generation && *request.generation != mount->current_generation())) return {};
  const size_t waiting = mount->source.served->hurry();
  return {waiting, [device = mount->source.served] { device->end_hurry(); }};
}

std::vector<MountStatus> MountTable::status(const std::optional<std::string>& name) const {
  std::vector<MountStatus> found;
  std::vector<std::shared_ptr<Mount>> mounts;
  {
    MutexLock lock(mutex_);
    for (const auto& [own_name, mount] : mounts_) {
      if (!name || own_name == *name) mounts.push_back(mount);
    }
    for (const auto& [generation, status] : kept_) {
      const bool is_to_come = stored_.contains(generation) || resuming_.contains(status.name);
      if (is_to_come && !mounts_.contains(status.name) && (!name || status.name == *name)) found.push_back(status);
    }
  }
  for (const auto& mount : mounts) found.push_back(mount->status());
  return found;
}

std::multimap<std::string, std::string> MountTable::cache_users() const {
  std::map<std::string, std::shared_ptr<Mount>> mounts;
  {
    MutexLock lock(mutex_);
    mounts = mounts_;
  }
  std::multimap<std::string, std::string> users;
  for (const auto& [name, mount] : mounts) {
    for (const auto& layer : cached_layers(*mount->source.device)) users.emplace(layer->key().file_name(), name);
  }
  return users;
}

void MountTable::shut_down() {
  stop_resuming();
  std::map<std::string, std::shared_ptr<Mount>> mounts;
  {
    MutexLock lock(mutex_);
    mounts.swap(mounts_);
  }
  for (const auto& [name, mount] : mounts) mount->stop();
  for (const auto& [name, mount] : mounts) mount->end();
}

}  // namespace erofs_oci
