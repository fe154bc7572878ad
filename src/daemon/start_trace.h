// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "daemon/store.h"
#include "source/prefetch.h"
#include "source/trace.h"

namespace erofs_oci {

/// Fetches what earlier starts of an image read, ahead of this one, and notes in the store what this one
/// reads in its first minutes, both on one thread. What of it goes wrong is told in the log and costs time,
/// never a read.
class StartTrace {
 public:
  /// What belongs to a start.
  static constexpr std::chrono::minutes kStart{2};
  /// So many spans are on their way at a time, which is about what a host takes in parallel, and what is
  /// decoded and written meanwhile.
  static constexpr size_t kSpansAtATime = 8;
  static constexpr size_t kNeighbours = 4;

  /// Of a device that has just been made, whose image has the manifest `manifest`.
  StartTrace(std::string mount, std::shared_ptr<const MappedDevice> device, const Digest& manifest,
             Store& store, SpanLoader& loader, std::optional<uint64_t> rate);
  /// Notes what was read so far, and ends.
  ~StartTrace() = default;

 private:
  void run(const std::stop_token& stop);
  void replay(const Trace& trace, const std::stop_token& stop);
  void note(const Trace& former);

  const std::string mount_;
  const std::shared_ptr<const MappedDevice> device_;
  const Digest manifest_;
  Store& store_;
  SpanLoader& loader_;
  const std::optional<uint64_t> rate_;
  std::jthread thread_;  // last: joined before the rest goes
};

}  // namespace erofs_oci
