// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "base/unique_fd.h"
#include "cache/built_layer.h"
#include "cache/cached_layer.h"
#include "cache/write_queue.h"

namespace erofs_oci {

struct DiskCacheOptions {
  std::filesystem::path folder;
  uint64_t limit_bytes = 0;
  uint64_t queue_bytes = 32 * kMiB;  ///< of spans that wait to be written
  bool read_only = false;            ///< also where nobody writes it
  std::chrono::milliseconds sync_period{1000};
  /// So long nothing is written after a disk was full, or failed.
  std::chrono::milliseconds pause_when_full{30'000};
};

/// A span that was found to be other than it was stored.
struct DamagedSpan {
  LayerKey key;
  uint64_t span;
};
struct VerifyReport {
  uint64_t spans = 0;
  uint64_t bytes = 0;
  std::vector<DamagedSpan> damaged;
};

/// The cache on disk that all mounts of a daemon share: one folder, one limit. What of it goes wrong is told
/// in the log and costs fetches, never a read. Thread-safe.
///
/// One process writes a folder; others find it locked and read what is there when they open a layer.
class DiskCache {
 public:
  using Layers = std::vector<std::shared_ptr<CachedLayer>>;
  /// Bytes done, of how many.
  using Progress = std::function<void(uint64_t done, uint64_t total)>;

  /// Takes the folder over, or makes it; what is damaged in it is dropped, with a message. Throws Error where
  /// the folder cannot be used.
  explicit DiskCache(DiskCacheOptions options);
  /// Makes durable what was written, drops what waits to be.
  ~DiskCache();
  DiskCache(const DiskCache&) = delete;
  DiskCache& operator=(const DiskCache&) = delete;

  const std::filesystem::path& folder() const { return options_.folder; }
  uint64_t limit_bytes() const { return options_.limit_bytes; }
  bool writes() const { return static_cast<bool>(lock_); }

  /// The layer's spans as `spans` cuts it; null where they cannot be kept. Writes to disk.
  std::shared_ptr<CachedLayer> open(const LayerKey& key, const SpanTable& spans);
  /// Whether anything is kept of a layer, by whatever table.
  bool has_layer(const Digest& layer) const;
  /// Whether all of a layer is kept, by one table, for the process that writes the cache.
  bool has_whole_layer(const Digest& layer) const;
  /// Sorted by layer.
  Layers layers() const;

  /// From now on these layers, and no others, are not evicted for the sake of mount `mount`. Durable.
  void pin(const std::string& mount, const Layers& layers);
  /// Ends the pins of all mounts but these.
  void keep_pins(const std::set<std::string>& mounts);
  bool is_pinned(const CachedLayer& layer) const;

  /// Compares all spans with their checksums, and drops those that differ. Throws Error unavailable on
  /// `stop`.
  VerifyReport verify(const Progress& progress, const std::stop_token& stop);
  /// Removes a layer, whatever its tables, or all; the bytes that were on disk. What is read through the
  /// cache from then on is kept again.
  uint64_t remove(const std::optional<Digest>& layer);
  /// Waits until what keep() has been given is durable, or given up.
  void flush();

  /// Where a build of an index may leave the layers that it decodes, which may have about so many bytes: in
  /// room that is free, or that least recently used spans give up, of half the limit at most. To be followed
  /// by end_build().
  CacheFill begin_build(uint64_t bytes);
  /// Takes what builds have left, and the room that this one was given.
  void end_build(const CacheFill& fill);

 private:
  using Clock = std::chrono::steady_clock;

  uint64_t sync_threshold() const;
  void scan();
  void shrink();
  void adopt(const std::filesystem::path& base);
  static void give_back_unmarked(CachedLayer& layer);
  std::shared_ptr<CachedLayer> find(const LayerKey& key) const;
  std::shared_ptr<CachedLayer> open_to_read(const LayerKey& key, const SpanCuts& cuts) const;
  std::shared_ptr<CachedLayer> open_to_write(const LayerKey& key, SpanCuts cuts);
  CachedLayer::Keep keeper();
  void on_writer(const std::function<void()>& body);

  void take_built(const std::filesystem::path& base);
  void take_missing(CachedLayer& layer, const LayerMap& built, const std::filesystem::path& base);
  void note_unsynced(uint64_t bytes);
  uint64_t free_bytes() const;
  uint64_t missing_for(uint64_t bytes) const;
  void write(CachedLayer& layer, size_t span, Bytes bytes);
  bool make_room(uint64_t bytes);
  void tell_used_up();
  bool evict(uint64_t bytes);
  bool drop_unused(const std::string& name);
  void give_back_lost();
  void measure();
  bool is_paused();
  void failed(const Error& error);
  void succeeded();

  void sync_loop();
  bool wait_for_sync(uint64_t& wanted);
  void sync_all();
  bool has_unsynced();
  void wait_until_synced();
  void load_pins();
  void save_pins();

  const DiskCacheOptions options_;
  UniqueFd lock_;                            // held while we write
  const std::shared_ptr<WriteQueue> queue_;  // shared with layers that outlive us

  mutable Mutex mutex_;
  std::map<std::string, std::shared_ptr<CachedLayer>> layers_ GUARDED_BY(mutex_);  // by file name
  std::map<std::string, std::set<std::string>> pins_ GUARDED_BY(mutex_);           // mount to file names

  Clock::time_point paused_until_ GUARDED_BY(mutex_);
  bool told_failure_ GUARDED_BY(mutex_) = false;
  std::atomic<bool> written_since_failure_{false};
  bool told_used_up_ = false;      // of the writer's thread
  std::atomic<uint64_t> used_{0};  // bytes on disk, as last measured, and written since
  uint64_t lent_ = 0;              // to builds under way; of the writer's thread

  Mutex sync_mutex_;
  CondVar sync_changed_;
  bool sync_stopping_ GUARDED_BY(sync_mutex_) = false;
  uint64_t unsynced_ GUARDED_BY(sync_mutex_) = 0;  // bytes
  bool syncing_ GUARDED_BY(sync_mutex_) = false;   // such bytes
  uint64_t sync_wanted_ GUARDED_BY(sync_mutex_) = 0;
  uint64_t sync_done_ GUARDED_BY(sync_mutex_) = 0;
  std::jthread syncer_;
  std::jthread writer_;
};

}  // namespace erofs_oci
