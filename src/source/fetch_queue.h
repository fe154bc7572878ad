// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <utility>
#include <vector>

#include "base/byte_range.h"
#include "base/bytes.h"
#include "base/range_reader.h"

namespace erofs_oci {

/// Which spans are fetched now, and which of them by one request.
///
/// A registry's own time for a request, and the way to it, cost the same for many bytes as for few; but who waits for one
/// span should not wait for others. So a fetch starts at once unless it continues a run of which a request is under way: while
/// there are kUnderWay requests of the blob, or the run's are more than twice as long as what waits, it waits for others to go
/// with. A run thus begins with small requests, and the more of it is wanted at a time, the larger they get; fetches at random
/// never wait.
/// A request is under way until its spans are decoded: to fetch faster than that gains nothing. One thread at a time.
class FetchQueue {
 public:
  /// The spans of one are decoded while those of the other come.
  static constexpr size_t kUnderWay = 2;
  /// Behind so many bytes a span that is urgent waits for half a second at 128 Mbit/s, where the line is the limit.
  static constexpr uint64_t kMaxRequest = 8 * kMiB;

  /// A span to be fetched; it stays at its address from add() to end().
  struct Fetch {
    const void* blob = nullptr;  ///< whose neighbouring spans can be fetched together
    size_t span = 0;
    ByteRange stored;  ///< of the blob
    Priority priority = Priority::foreground;
    uint64_t request = 0;  ///< which it is under way by; 0: it waits
  };

  void add(Fetch& fetch);
  /// Until its end it has this priority, if that is more urgent than its own. A request that is under way is not hurried.
  void raise(Fetch& fetch, Priority priority);
  /// Neighbours to be fetched by one request now, in their order; empty: none.
  std::vector<Fetch*> next();
  /// What next() gave out is done, or is not wanted any more.
  void end(const Fetch& fetch);
  /// Takes those out that wait for others of `blob`.
  std::vector<Fetch*> take_waiting(const void* blob);

 private:
  using Place = std::pair<const void*, size_t>;

  static Place place_of(const Fetch& fetch) { return {fetch.blob, fetch.span}; }
  Fetch* neighbour(const Fetch& fetch, int step) const;
  Fetch* next_waiting(const Fetch& fetch) const;
  bool must_wait(const Fetch& fetch) const;
  uint64_t waiting_bytes_from(const Fetch& fetch) const;

  uint64_t last_request_ = 0;
  size_t requests_of(const void* blob) const;

  /// Of each blob, by request, how many of its fetches are under way.
  std::map<const void*, std::map<uint64_t, size_t>> under_way_;
  std::map<Place, Fetch*> fetches_;       // waiting and under way
  std::list<Fetch*> waiting_;             // in the order of their arrival
};

}  // namespace erofs_oci
