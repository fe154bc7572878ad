// SPDX-License-Identifier: Apache-2.0
#include "source/window_checks.h"

#include <algorithm>
#include <array>

namespace erofs_oci {
namespace {

/// 2 MiB for windows that wait for the span behind them, which is mostly read next.
constexpr size_t kMaxTrueWindows = 64;
/// As often as SpanLoader fetches corrupt data.
constexpr int kDifferencesUntilRefused = 2;

enum class Comparison { same, bytes_left_out, different };

Comparison compare(Bytes window, Bytes truth) {
  Comparison result = Comparison::same;
  for (size_t i = 0; i < window.size(); ++i) {
    if (window[i] == truth[i]) continue;
    if (window[i] != std::byte{0}) return Comparison::different;
    result = Comparison::bytes_left_out;
  }
  return result;
}

}  // namespace

void WindowChecks::check_end(const Zinfo& zinfo, size_t span, Bytes out) {
  const size_t next = span + 1;
  if (next >= zinfo.span_count() || zinfo.checkpoint(span).out + out.size() != zinfo.checkpoint(next).out)
    return;
  std::array<std::byte, kWindowSize> window;
  zinfo.read_window(next, window);
  const size_t known = std::min(out.size(), kWindowSize);
  const Comparison result = compare(Bytes(window).last(known), out.last(known));
  if (result == Comparison::different) refuse(zinfo, next);
  if (result == Comparison::same || known < kWindowSize) return;
  MutexLock lock(mutex_);
  if (true_windows_.size() >= kMaxTrueWindows) true_windows_.erase(true_windows_.begin());
  const Bytes truth = out.last(kWindowSize);
  true_windows_[next].assign(truth.begin(), truth.end());
}

std::optional<std::vector<std::byte>> WindowChecks::take_true_window(size_t span) {
  MutexLock lock(mutex_);
  auto node = true_windows_.extract(span);
  if (!node) return std::nullopt;
  return std::move(node.mapped());
}

void WindowChecks::refuse(const Zinfo& zinfo, size_t span) {
  const Error error = make_error(
      ErrorKind::corrupt,
      "{}: its window of span {} is not what span {} of the layer ends with: the zinfo is damaged, or of "
      "another layer; make it again",
      zinfo.name(), span, span - 1);
  {
    MutexLock lock(mutex_);
    if (++differences_[span] >= kDifferencesUntilRefused) {
      damaged_.insert({span - 1, error});
      damaged_.insert({span, error});
    }
  }
  throw error;
}

std::optional<Error> WindowChecks::damage(size_t span) const {
  MutexLock lock(mutex_);
  const auto found = damaged_.find(span);
  return found == damaged_.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace erofs_oci
