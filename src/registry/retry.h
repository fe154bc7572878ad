// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "http/request.h"

namespace erofs_oci::registry {

struct RetrySettings {
  /// How long to go on without a useful byte; none: for ever. A read that moves is not given up, however
  /// slow.
  std::optional<std::chrono::milliseconds> deadline = std::chrono::seconds(60);
  /// A try gets so long to be answered, however near the deadline is.
  std::chrono::milliseconds shortest_try{1000};
  std::chrono::milliseconds first_delay{200};
  std::chrono::milliseconds longest_delay = std::chrono::seconds(15);
  std::chrono::milliseconds longest_retry_after =
      std::chrono::seconds(30);  ///< a server that asks for more gets this
};

/// A try that failed.
struct Failure {
  Error error;
  std::optional<std::chrono::seconds> retry_after;  ///< as the server asked
};

/// What a status other than 2xx means, with the registry's own message (distribution-spec, "Error Codes"):
/// denied, not_found, unavailable (408, 425, 429, 5xx), corrupt (416), unsupported (any other).
Failure failure_of(const http::Response& response);

/// How long to wait after `failures` failed tries in a row (at least 1): doubled each time up to the ceiling,
/// of which a part between one half (`jitter` 0) and all (`jitter` 1) is waited, so that clients do not come
/// back together. Never less than the server asked for, within its own ceiling.
std::chrono::milliseconds backoff_delay(const RetrySettings& settings, unsigned failures, double jitter,
                                        std::optional<std::chrono::seconds> retry_after);

/// Keeps count of the tries of one piece of work. One thread at a time.
class Retry {
 public:
  explicit Retry(const RetrySettings& settings) : settings_(settings) {}

  /// How long to wait before the next try. Throws the failure's error where a further try cannot help, or
  /// with " after 5 tries" where the deadline has passed.
  std::chrono::milliseconds delay_after(const Failure& failure);

  /// Something useful came: the count and the deadline start anew.
  void progressed();

  /// `limits`, cut so that a try without an answer ends near the deadline.
  http::TimeLimits within_deadline(http::TimeLimits limits) const;

 private:
  std::optional<std::chrono::milliseconds> left() const;

  const RetrySettings& settings_;
  std::chrono::steady_clock::time_point since_ = std::chrono::steady_clock::now();
  unsigned failures_ = 0;
};

}  // namespace erofs_oci::registry
