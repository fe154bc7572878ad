// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "base/mutex.h"
#include "source/buffer_pool.h"

namespace erofs_oci {

class Reservation;

/// One bound for the memory of cached spans, spans under way and replies, whoever asks. Thread-safe.
///
/// Replies wait for spans and spans never wait for replies; so replies hold half of the bound at most, and a request is
/// always granted once its kind holds nothing: nobody waits for ever, and the bound is passed by one request at most.
/// Each of the two kinds is served first come, first served.
class MemoryBound {
 public:
  enum class Kind { span, reply };
  using Granted = std::function<void(Reservation)>;
  /// Drops unused cached buffers of about so many bytes; false if there was none. Called with no lock held.
  using Evict = std::function<bool(uint64_t wanted)>;

  /// The bound that, with the idle buffers that it keeps for those who come next, is not more than `total_bytes`.
  static constexpr uint64_t limit_within(uint64_t total_bytes) {
    return total_bytes / (kIdleShare + 1) * kIdleShare;
  }
  explicit MemoryBound(uint64_t limit_bytes) : limit_(limit_bytes), pool_(limit_bytes / kIdleShare) {}

  void set_evict(Evict evict) { evict_ = std::move(evict); }

  /// Calls `granted` once `bytes` are free, at once or later on the thread that freed them; it must not block.
  void reserve(Kind kind, uint64_t bytes, Granted granted);
  /// `bytes` that are free at once, also by eviction, and that nobody waits for; or nothing.
  std::optional<Reservation> try_reserve(Kind kind, uint64_t bytes);
  /// To be called where a cached buffer came to be unused, with no lock held: who waits may now be served by evicting.
  void retry();

  /// A buffer of that size, of any content, with its memory: the bound has it back when the last owner drops the
  /// buffer. Throws Error.
  std::shared_ptr<Buffer> allocate(Reservation reservation);

  uint64_t limit() const { return limit_; }
  uint64_t used() const;

 private:
  friend class Reservation;
  /// Of the bound, what idle buffers may hold beyond it.
  static constexpr uint64_t kIdleShare = 8;
  struct Waiter {
    uint64_t bytes;
    Granted granted;
  };
  struct Pool {
    uint64_t used = 0;
    std::deque<Waiter> waiters;
  };

  void give_back(Kind kind, uint64_t bytes);
  void serve_waiters();
  bool serve_one(Kind kind, uint64_t& shortage);
  /// Whether `bytes` may be granted now; if not, `shortage` grows by what eviction would have to free.
  bool fits(Kind kind, uint64_t bytes, uint64_t& shortage) const REQUIRES(mutex_);

  const uint64_t limit_;
  BufferPool pool_;
  Evict evict_;
  mutable Mutex mutex_;
  Pool pools_[2] GUARDED_BY(mutex_);
  bool serving_ GUARDED_BY(mutex_) = false;
  bool serve_again_ GUARDED_BY(mutex_) = false;
};

/// Bytes of a MemoryBound, given back when dropped. Move-only.
class Reservation {
 public:
  Reservation() = default;
  Reservation(MemoryBound* bound, MemoryBound::Kind kind, uint64_t bytes)
      : bound_(bound), kind_(kind), bytes_(bytes) {}
  Reservation(Reservation&& other) noexcept
      : bound_(std::exchange(other.bound_, nullptr)), kind_(other.kind_), bytes_(other.bytes_) {}
  Reservation& operator=(Reservation&& other) noexcept;
  ~Reservation() { give_back(); }

  uint64_t bytes() const { return bytes_; }
  /// A part of this reservation as one of its own; `bytes` must not exceed it.
  Reservation split(uint64_t bytes);

 private:
  void give_back();

  MemoryBound* bound_ = nullptr;
  MemoryBound::Kind kind_ = MemoryBound::Kind::span;
  uint64_t bytes_ = 0;
};

}  // namespace erofs_oci
