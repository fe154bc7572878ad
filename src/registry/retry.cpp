// SPDX-License-Identifier: Apache-2.0
#include "registry/retry.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <random>

#include "base/text.h"
#include "http/url.h"

namespace erofs_oci::registry {
namespace {

using std::chrono::milliseconds;

ErrorKind kind_of_status(int status) {
  switch (status) {
    case 401:
    case 403:
      return ErrorKind::denied;
    case 404:
    case 410:
      return ErrorKind::not_found;
    case 416:
      return ErrorKind::corrupt;
    case 408:
    case 425:
    case 429:
      return ErrorKind::unavailable;
    default:
      return status >= 500 && status != 501 && status != 505 ? ErrorKind::unavailable
                                                             : ErrorKind::unsupported;
  }
}

// {"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}; anything else has nothing to say.
std::string message_in(const std::string& body) {
  const auto json = nlohmann::json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return {};
  const auto errors = json.find("errors");
  if (errors == json.end() || !errors->is_array() || errors->empty() || !errors->front().is_object())
    return {};
  for (const char* key : {"message", "code"}) {
    const auto found = errors->front().find(key);
    if (found == errors->front().end() || !found->is_string()) continue;
    const auto& text = found->get_ref<const std::string&>();
    if (!text.empty()) return ": " + printable(text);
  }
  return {};
}

}  // namespace

Failure failure_of(const http::Response& response) {
  return {make_error(kind_of_status(response.status), "{} answered {}{}", http::host_of(response.url),
                     response.status, message_in(response.body)),
          http::retry_after(response.headers, std::chrono::system_clock::now())};
}

milliseconds backoff_delay(const RetrySettings& settings, unsigned failures, double jitter,
                           std::optional<std::chrono::seconds> retry_after) {
  milliseconds ceiling = settings.first_delay;
  for (unsigned i = 1; i < failures && ceiling < settings.longest_delay; ++i) ceiling *= 2;
  ceiling = std::min(ceiling, settings.longest_delay);
  const auto delay = milliseconds(std::llround(static_cast<double>(ceiling.count()) * (0.5 + jitter / 2)));
  if (!retry_after) return delay;
  return std::max(delay, std::min<milliseconds>(*retry_after, settings.longest_retry_after));
}

milliseconds Retry::delay_after(const Failure& failure) {
  ++failures_;
  if (failure.error.kind() != ErrorKind::unavailable || failure.error.errno_value() == ECANCELED)
    throw failure.error;
  const auto time_left = left();
  if (time_left && *time_left <= milliseconds(0)) {
    throw Error(
        failure.error.kind(), failure.error.errno_value(),
        fmt::format("{} after {} {}", failure.error.what(), failures_, failures_ == 1 ? "try" : "tries"));
  }
  std::random_device random;
  const double jitter = std::uniform_real_distribution<double>(0, 1)(random);
  const milliseconds delay = backoff_delay(settings_, failures_, jitter, failure.retry_after);
  return time_left ? std::min(delay, *time_left) : delay;  // the last try is made at the deadline
}

void Retry::progressed() {
  since_ = std::chrono::steady_clock::now();
  failures_ = 0;
}

http::TimeLimits Retry::within_deadline(http::TimeLimits limits) const {
  const auto time_left = left();
  if (!time_left) return limits;
  const milliseconds most = std::max(*time_left, settings_.shortest_try);
  return {std::min(limits.connect, most), std::min(limits.stall, most)};
}

std::optional<milliseconds> Retry::left() const {
  if (!settings_.deadline) return std::nullopt;
  const auto passed = std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - since_);
  return *settings_.deadline - passed;
}

}  // namespace erofs_oci::registry
