// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/mutex.h"
#include "base/unique_fd.h"
#include "cache/map_file.h"
#include "source/span_store.h"

namespace erofs_oci {

/// What is kept of a layer, for people.
struct CachedLayerInfo {
  LayerKey key;
  uint64_t spans = 0;
  uint64_t spans_kept = 0;
  uint64_t stream_bytes = 0;
  uint64_t bytes_kept = 0;  ///< of the stream
  uint64_t bytes_on_disk = 0;
  uint32_t last_used = 0;  ///< seconds since 1970
};

/// The spans of one layer on disk: a sparse file of data and its map (README.md). Thread-safe; the functions
/// that are said to be one thread's are never called by two at a time.
///
/// A span is queued, then written, and only once its data is durable is it marked in the map. It can be read
/// at once: from memory, as long as it is queued.
class CachedLayer : public SpanStore, public std::enable_shared_from_this<CachedLayer> {
 public:
  /// Takes a span to be written; false where it cannot.
  using Keep = std::function<bool(std::shared_ptr<CachedLayer> layer, size_t span, SpanRef bytes)>;
  /// Whoever may punch it out: least recently used first.
  struct Candidate {
    uint32_t used;
    CachedLayer* layer;
    size_t span;
    uint64_t length;
  };

  /// Empty files for a layer of which there are none, in place of any of that name. Throws Error.
  static LayerMap create(const std::filesystem::path& base, const LayerKey& key, SpanCuts cuts);
  /// Takes data and map that a build left for a layer of which there is nothing yet: the map as it was left,
  /// of spans that are not durable. Throws Error.
  static LayerMap take_built(const std::filesystem::path& base);
  /// What is there; throws Error, not_found where there is nothing.
  static LayerMap read(const std::filesystem::path& base);

  /// `base` is the files' path without their endings. Without `keep` nothing is ever written. The spans that
  /// `map` has are durable, and marked so, or are `built`: then that is left to sync().
  CachedLayer(std::filesystem::path base, LayerMap map, Keep keep, bool built = false);

  const LayerKey& key() const { return key_; }
  const SpanCuts& cuts() const { return cuts_; }

  bool has(size_t span) const override;
  bool load(size_t span, MutableBytes out) override;
  void keep(size_t span, SpanRef bytes) override;
  void drop(size_t span) override;
  std::vector<bool> kept() const override;

  /// Whether any span is there.
  bool has_any() const;
  /// Whether all are.
  bool is_whole() const;
  /// Whether the span is still as it was stored; drops it where it is not. True where there is none, also
  /// where it goes meanwhile.
  bool check(size_t span);
  CachedLayerInfo info() const;
  /// Of both files; 0 where it cannot be told.
  uint64_t bytes_on_disk() const;

  // Of the writer's thread.

  /// Queues a span, which is not readable until it is written; false where it is there or on its way.
  bool claim(size_t span);
  /// Writes a queued span. Throws Error, and then the span is not kept.
  void write(size_t span, Bytes bytes);
  /// A queued span is not going to be written.
  void abandon(size_t span);
  void add_candidates(std::vector<Candidate>& candidates);
  /// Gives back what is on disk of spans that are not marked: what was written when the daemon was killed.
  /// Before anything is written. Throws Error.
  void give_back_unmarked();
  /// Gives back what is on disk of spans that were dropped, or could not be made durable; whether there are
  /// any. Throws Error.
  bool give_back_lost();
  /// Unmarks spans, then gives their blocks back. Where the file system cannot, all of the layer goes. Throws
  /// Error.
  void evict(const std::vector<size_t>& spans);
  /// Unmarks and gives back everything.
  void clear();
  void remove_files();

  // Of the syncing thread.

  /// Makes durable what was written, then marks it; whether there was anything. Throws Error.
  bool sync();
  /// Whether there is something for give_back_lost().
  bool has_lost() const;
  /// Notes the time of the last use, and closes the files where nothing needs them.
  void settle(bool in_use);

 private:
  enum class State : uint8_t { absent, queued, written, syncing, stored };
  struct Slot {
    uint64_t checksum = 0;
    uint32_t used = 0;
    State state = State::absent;
    uint16_t life = 0;  ///< counts how often it has gone: what was read in one says nothing about the next
    bool readable() const { return state >= State::written; }
  };
  struct Files {
    UniqueFd map;
    UniqueFd data;
  };
  using FilesRef = std::shared_ptr<const Files>;

  static void create_map(const std::filesystem::path& base, const LayerKey& key, const SpanCuts& cuts);
  FilesRef files();
  uint64_t read_span(size_t span, const FilesRef& files, MutableBytes out);
  bool damaged(size_t span, uint16_t life, const std::string& how);
  std::vector<ByteRange> holes(const std::vector<size_t>& spans) REQUIRES(mutex_);
  void forget(size_t span) REQUIRES(mutex_);
  bool claim(size_t span, const SpanRef& bytes);
  bool give_back(const std::vector<size_t>& spans);
  void undo_write(size_t span, const FilesRef& files);
  void sync_names();
  void unmark(const FilesRef& files, const std::vector<size_t>& spans, bool durably);

  const std::filesystem::path map_path_;
  const std::filesystem::path data_path_;
  const LayerKey key_;
  const SpanCuts cuts_;
  const Keep keep_;
  mutable Mutex mutex_;
  FilesRef files_ GUARDED_BY(mutex_);  // shared with those who use them at the moment
  std::vector<Slot> slots_ GUARDED_BY(mutex_);
  std::unordered_map<size_t, std::weak_ptr<const Buffer>> queued_ GUARDED_BY(mutex_);  // the queue owns them
  std::vector<size_t> unsynced_ GUARDED_BY(mutex_);
  std::set<size_t> lost_ GUARDED_BY(mutex_);  // no longer kept, but on disk unless written anew
  uint32_t used_ GUARDED_BY(mutex_) = 0;
  uint32_t noted_use_ = 0;          // of the syncing thread
  bool has_durable_names_ = false;  // of the syncing thread
};

}  // namespace erofs_oci
