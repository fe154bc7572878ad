// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <vector>

#include "source/span_loader.h"
#include "source/span_place.h"

namespace erofs_oci {

/// How a span came to a reader, or ahead of one.
enum class AccessKind : uint8_t {
  memory,
  disk,
  fetched,
  failed,
  read_ahead,  ///< loaded since a sequential reader will want it
  prefetch,    ///< loaded since the definition, or somebody, wants it on disk
};

/// A span that was wanted, and how long it took to have it.
struct Access {
  std::chrono::microseconds begin{0};  ///< since the record's own beginning
  std::chrono::microseconds duration{0};
  SpanPlace place;
  AccessKind kind = AccessKind::memory;
};

/// What was read of a device and when: its first accesses, up to a bound, in memory that grows with them. A
/// reader that reads a span again within a kPeriod is not noted again, and hits in memory fill half of it at
/// most. Thread-safe without a lock; noting a hit that is left out costs a coarse look at the clock and a
/// comparison.
class AccessRecord {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr size_t kMax = 32768;
  static constexpr std::chrono::milliseconds kPeriod{1024};

  AccessRecord();
  ~AccessRecord();
  AccessRecord(const AccessRecord&) = delete;
  AccessRecord& operator=(const AccessRecord&) = delete;

  /// A reader found the span in memory.
  void note_hit(SpanPlace place);
  /// A reader waited since `begin`, or something was loaded ahead since then.
  void note(SpanPlace place, AccessKind kind, Clock::time_point begin);

  /// By their beginnings.
  std::vector<Access> accesses() const;
  /// Accesses that found the record full.
  uint64_t left_out() const { return left_out_; }
  std::chrono::microseconds age() const;

 private:
  static constexpr size_t kChunk = 512;
  static constexpr size_t kRecent = 256;
  /// 16 bytes: the time, 40 bits of microseconds, 16 of the stream and 8 of the kind, which is never 0; the
  /// duration and the span, 32 bits each. The first is written last.
  struct Event {
    std::atomic<uint64_t> head{0};
    std::atomic<uint64_t> tail{0};
  };
  using Chunk = std::array<Event, kChunk>;

  bool is_news(SpanPlace place, uint64_t milliseconds);
  void add(SpanPlace place, AccessKind kind, std::chrono::microseconds begin,
           std::chrono::microseconds duration);
  Event& event(size_t number);

  const Clock::time_point opened_;
  std::atomic<size_t> count_{0};
  std::atomic<uint64_t> left_out_{0};
  std::array<std::atomic<uint64_t>, kRecent> recent_{};  // spans noted lately, by their hash
  std::array<std::atomic<Chunk*>, kMax / kChunk> chunks_{};
};

}  // namespace erofs_oci
