// SPDX-License-Identifier: Apache-2.0
#include "daemon/background_prefetch.h"

#include <pthread.h>

#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "daemon/interruptible_sleep.h"

namespace erofs_oci {
namespace {

constexpr std::chrono::seconds kFirstPause{1};
constexpr std::chrono::seconds kLongestPause{300};

/// Whether waiting may help.
bool may_pass(const Error& error) {
  return error.kind() == ErrorKind::unavailable || error.kind() == ErrorKind::no_space;
}

}  // namespace

BackgroundPrefetch::BackgroundPrefetch(std::string mount, std::unique_ptr<Prefetch> prefetch)
    : mount_(std::move(mount)), prefetch_(std::move(prefetch)), thread_([this](const std::stop_token& stop) {
        ::pthread_setname_np(::pthread_self(), "prefetch");
        run(stop);
      }) {}

void BackgroundPrefetch::run(const std::stop_token& stop) {
  std::chrono::seconds pause = kFirstPause;
  uint64_t before = 0;
  while (!stop.stop_requested()) {
    uint64_t done = 0;
    try {
      const uint64_t missing = prefetch_->run(stop, [&](uint64_t bytes, uint64_t) { done = bytes; });
      const std::string total = human_size(prefetch_->total_bytes());
      if (missing == 0) return logf(LogLevel::info, "{}: prefetch: complete, {} are on disk", mount_, total);
      return logf(
          LogLevel::warning,
          "{}: prefetch: {} of {} were evicted meanwhile: cache_limit is small for what is read and fetched; "
          "leaving it at that",
          mount_, human_size(missing), total);
    } catch (const Error& error) {
      if (stop.stop_requested()) return;
      if (!may_pass(error))
        return logf(LogLevel::warning, "{}: prefetch: {}; leaving it at that", mount_, error.what());
      if (done > before) pause = kFirstPause;
      if (pause == kFirstPause)
        logf(LogLevel::notice, "{}: prefetch: {}; trying again later", mount_, error.what());
      before = std::max(before, done);
    }
    sleep_for(pause, stop);
    pause = std::min(2 * pause, kLongestPause);
  }
}

}  // namespace erofs_oci
