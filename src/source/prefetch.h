// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <vector>

#include "source/mapped_device.h"
#include "source/span_loader.h"
#include "source/span_place.h"

namespace erofs_oci {

struct PrefetchOptions {
  std::optional<uint64_t> rate;  ///< bytes of blobs a second; none: unlimited
  size_t spans_at_a_time = 2;    ///< nothing is begun while so many are under way
  size_t neighbours = 1;         ///< so many may be begun at once, by one request
  /// Nothing is begun while a reader waits for a load, but one span in each of these.
  std::chrono::milliseconds patience{1000};
  /// Nothing is begun so long after a store has refused a span: it may be behind with its writes.
  std::chrono::milliseconds pause_when_refused{500};
};

/// Brings spans of a device to its streams' stores, in the order given, behind all readers. One thread at a
/// time.
class Prefetch {
 public:
  /// How many bytes of the spans are in the stores, of how many.
  using Progress = std::function<void(uint64_t done, uint64_t total)>;

  /// Streams without a store are left out.
  Prefetch(std::shared_ptr<const MappedDevice> device, std::vector<SpanPlace> order, SpanLoader& loader,
           PrefetchOptions options);

  /// Fetches what the stores do not have, and tells the progress each kTick. Returns the bytes that are not
  /// there in the end because they were evicted meanwhile: 0 where all is there. Throws Error: unavailable
  /// with ECANCELED on `stop`, unavailable where the registry is away, no_space where the stores keep
  /// nothing; once all others have been fetched, what a span failed with. What is there stays there.
  uint64_t run(const std::stop_token& stop, const Progress& progress = {});

  uint64_t total_bytes() const { return total_; }

  static constexpr std::chrono::milliseconds kTick{200};

 private:
  struct UnderWay;

  void pass(const std::stop_token& stop, const Progress& progress);
  size_t start_neighbours(size_t first, const std::stop_token& stop, const Progress& progress);
  bool start(const SpanPlace& place);
  uint64_t charge(const SpanPlace& place);
  void wait_for_turn(const std::stop_token& stop, const Progress& progress);
  void wait(std::chrono::steady_clock::time_point until, const std::stop_token& stop,
            const Progress& progress);
  void tell(const Progress& progress);
  bool has(const SpanPlace& place) const;
  uint64_t length(const SpanPlace& place) const;
  bool was_refused() const;
  uint64_t missing_bytes() const;

  const std::shared_ptr<const MappedDevice> device_;
  const std::vector<SpanPlace> order_;
  SpanLoader& loader_;
  const PrefetchOptions options_;
  const std::shared_ptr<UnderWay> under_way_;  // shared with loads that outlive us
  uint64_t total_ = 0;
  std::chrono::steady_clock::time_point next_start_;  // as the rate has it
  std::map<std::pair<uint32_t, size_t>, size_t> charged_;  // of a stream's group, spans up to that one
  std::chrono::steady_clock::time_point next_tell_;
};

}  // namespace erofs_oci
