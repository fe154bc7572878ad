// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/gate.h"
#include "base/mutex.h"
#include "source/fetch_queue.h"
#include "source/group_loader.h"
#include "source/memory_bound.h"
#include "source/span_cache.h"
#include "source/stream.h"
#include "source/worker_pool.h"

namespace erofs_oci {

/// Where a span was found.
enum class SpanOrigin : uint8_t { memory, disk, fetched };

/// A loaded span, or why there is none.
struct SpanResult {
  SpanRef span;
  std::optional<Error> error;
  SpanOrigin origin = SpanOrigin::memory;
};

/// Called exactly once, on any thread; must not block or throw.
using SpanDone = std::function<void(SpanResult)>;
/// Called exactly once, on any thread; must not block or throw.
using PrefetchDone = std::function<void(const std::optional<Error>&)>;
/// Called where a load that nobody waited for brought a span, on any thread; must not block or throw.
using LoadedAhead = std::function<void()>;

/// Loads spans: memory, else the stream's store, else fetch, decode, remember. One load a span at a time,
/// however many ask, over all streams of the same content; where it fails, those who asked by another stream
/// go on with that one's blob; readers who joined what was loaded ahead of them begin anew where the registry
/// was away. Thread-safe.
///
/// Streams' blobs call back into it. To end it: stop(), then end what the blobs read with, then destroy it.
class SpanLoader {
 public:
  class Together;

  SpanLoader(MemoryBound& memory, WorkerPool& workers);
  /// Waits for the loads under way, and until all who wait for them have been told.
  ~SpanLoader();

  /// Starts no more fetches: loads that still wait for memory, and new ones, fail. Once this has returned, no call of a
  /// blob is under way.
  void stop();

  /// The span, where memory holds it. `taken` bytes of it are read now: one that has been read from end to end need not be kept.
  SpanRef find(const Stream& stream, size_t span, uint64_t taken = 0);
  /// The span, from memory or from the blob.
  void load(const std::shared_ptr<const Stream>& stream, size_t span, Priority priority, SpanDone done, uint64_t taken = 0);
  /// Sees to it that the span comes into memory, where that costs nobody anything: memory is free for it, and
  /// less than a third of the bound holds what was loaded so and not asked for since.
  void load_ahead(const std::shared_ptr<const Stream>& stream, size_t span, LoadedAhead loaded = {});
  /// Brings the span, which its stream's store does not have, there, after all others. False where that is to be asked for
  /// again: memory is short for it now. `done` once it has been handed to the store and its memory can be had again.
  bool prefetch(const std::shared_ptr<const Stream>& stream, size_t span, PrefetchDone done,
                LoadedAhead loaded = {});
  /// Whether any reader waits for a load.
  bool is_waited_for() const { return waited_for_ != 0; }
  /// Keeps the spans of a stream in memory, until as many calls of drop().
  void use(const Stream& stream);
  /// Forgets the spans of a stream, unless another use() of its content lasts.
  void drop(const Stream& stream);

  MemoryBound& memory() { return memory_; }

 private:
  struct Load;
  struct Waiter {
    std::shared_ptr<const Stream> stream;
    Priority priority;
    SpanDone done;
    uint64_t taken;
  };

  static uint64_t memory_for(const Stream& stream, size_t span);
  bool may_load_ahead(SpanKey key, uint64_t bytes) REQUIRES(mutex_);
  void add_waiter(Load& load, Waiter waiter) REQUIRES(mutex_);
  void end_ahead(Load& load) REQUIRES(mutex_);
  void reserve(const std::shared_ptr<Load>& load);
  void start(const std::shared_ptr<Load>& load, Reservation reservation);
  void fetch(const std::shared_ptr<Load>& load);
  void send_fetches();
  void fetch_neighbours(const std::vector<std::shared_ptr<Load>>& loads, Priority priority);
  void fetched(const std::shared_ptr<Load>& load, std::optional<Error> error);
  void decode(const std::shared_ptr<Load>& load);
  void fetch_group(const std::shared_ptr<Load>& load);
  void load_kept(const std::shared_ptr<Load>& load);
  void decoding_failed(const std::shared_ptr<Load>& load, const Error& error);
  void forget_damaged(const Load& load);
  static std::shared_ptr<Load> load_for_others(const Load& failed, const Error& error,
                                               std::vector<Waiter>& waiters);
  void finish(const std::shared_ptr<Load>& load, std::optional<Error> error);
  bool evict(uint64_t wanted);
  SpanRef lend(SpanRef span);
  static SpanRef told_when_free(SpanRef span, std::vector<PrefetchDone> prefetch);

  MemoryBound& memory_;
  WorkerPool& workers_;
  GroupLoader groups_;
  Gate fetching_;  // within it blobs are read
  Mutex mutex_;
  CondVar load_finished_;
  std::atomic<size_t> waited_for_{0};         // waiters of foreground priority
  size_t unfinished_ GUARDED_BY(mutex_) = 0;  // loads whose waiters have not all been told
  SpanCache cache_ GUARDED_BY(mutex_);
  uint64_t loading_ahead_ GUARDED_BY(mutex_) = 0;  // bytes of output that nobody has asked for yet
  std::unordered_map<Digest, size_t> uses_ GUARDED_BY(mutex_);  // of contents, by devices
  std::unordered_map<SpanKey, std::shared_ptr<Load>, SpanKeyHash> loads_ GUARDED_BY(mutex_);
  FetchQueue fetches_ GUARDED_BY(mutex_);  // of loads_
  size_t holds_ GUARDED_BY(mutex_) = 0;    // of Together
};

/// What is asked for while one lasts is fetched when it goes out of scope, and neighbours then by one request.
class SpanLoader::Together {
 public:
  explicit Together(SpanLoader& loader);
  ~Together();
  Together(const Together&) = delete;
  Together& operator=(const Together&) = delete;

 private:
  SpanLoader& loader_;
};

}  // namespace erofs_oci
