// SPDX-License-Identifier: Apache-2.0
#include "source/window_checks.h"

#include <algorithm>
#include <array>
#include <deque>

namespace erofs_oci {
namespace {

/// 2 MiB, of all layers together, for windows that wait for the span behind them, which is mostly read next.
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

/// Of all layers, the oldest first. Thread-safe.
class WindowChecks::TrueWindows {
 public:
  void put(const WindowChecks* of, size_t span, Bytes window) {
    MutexLock lock(mutex_);
    erase(of, span);
    if (windows_.size() >= kMaxTrueWindows) windows_.pop_front();
    windows_.push_back({of, span, {window.begin(), window.end()}});
  }
  std::optional<std::vector<std::byte>> find(const WindowChecks* of, size_t span) {
    MutexLock lock(mutex_);
    const auto found = std::ranges::find_if(windows_, [&](const Window& each) { return each.is(of, span); });
    return found == windows_.end() ? std::nullopt : std::optional(found->bytes);
  }
  void drop(const WindowChecks* of, std::optional<size_t> span = std::nullopt) {
    MutexLock lock(mutex_);
    erase(of, span);
  }

 private:
  struct Window {
    const WindowChecks* of;
    size_t span;
    std::vector<std::byte> bytes;

    bool is(const WindowChecks* checks, std::optional<size_t> number) const {
      return of == checks && (!number || span == *number);
    }
  };

  void erase(const WindowChecks* of, std::optional<size_t> span) REQUIRES(mutex_) {
    std::erase_if(windows_, [&](const Window& each) { return each.is(of, span); });
  }

  Mutex mutex_;
  std::deque<Window> windows_ GUARDED_BY(mutex_);
};

WindowChecks::TrueWindows& WindowChecks::true_windows() {
  static TrueWindows windows;
  return windows;
}

WindowChecks::~WindowChecks() {
  true_windows().drop(this);
}

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
  true_windows().put(this, next, out.last(kWindowSize));
}

std::optional<std::vector<std::byte>> WindowChecks::true_window(size_t span) const {
  return true_windows().find(this, span);
}

void WindowChecks::drop_true_window(size_t span) const {
  true_windows().drop(this, span);
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
