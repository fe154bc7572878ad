// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <atomic>
#include <map>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "source/span_store.h"

namespace erofs_oci::testing {

/// Keeps spans in memory, as the disk cache does on disk.
class FakeStore : public SpanStore {
 public:
  bool has(size_t span) const override {
    MutexLock lock(mutex_);
    return spans_.contains(span);
  }
  bool load(size_t span, MutableBytes out) override {
    if (broken) return false;
    MutexLock lock(mutex_);
    ++loads;
    std::ranges::copy(spans_.at(span), out.begin());
    return true;
  }
  void keep(size_t span, SpanRef bytes) override {
    if (full) return;
    MutexLock lock(mutex_);
    spans_[span].assign(bytes->bytes().begin(), bytes->bytes().end());
    if (holds) held_ = std::move(bytes);
  }
  void drop(size_t span) override {
    MutexLock lock(mutex_);
    spans_.erase(span);
  }
  std::vector<bool> kept() const override { return {}; }

  /// As once a span has been written.
  void let_go() { held_.reset(); }

  std::atomic<bool> holds{false};
  std::atomic<int> loads{0};
  std::atomic<bool> broken{false};
  std::atomic<bool> full{false};

 private:
  SpanRef held_;
  mutable Mutex mutex_;
  std::map<size_t, std::vector<std::byte>> spans_ GUARDED_BY(mutex_);
};

}  // namespace erofs_oci::testing
