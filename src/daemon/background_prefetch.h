// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <thread>

#include "source/prefetch.h"

namespace erofs_oci {

/// Runs a Prefetch on a thread of its own until all is on disk, however long the registry is away in between.
/// What becomes of it is told in the log, once each.
class BackgroundPrefetch {
 public:
  BackgroundPrefetch(std::string mount, std::unique_ptr<Prefetch> prefetch);
  /// Ends it at once; what is there stays there.
  ~BackgroundPrefetch() = default;

 private:
  void run(const std::stop_token& stop);

  const std::string mount_;
  const std::unique_ptr<Prefetch> prefetch_;
  std::jthread thread_;  // last: joined before the rest goes
};

}  // namespace erofs_oci
