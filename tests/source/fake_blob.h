// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <atomic>
#include <deque>
#include <memory>
#include <vector>

#include "base/mutex.h"
#include "base/range_reader.h"

namespace erofs_oci::testing {

/// A blob in memory. Reads are answered at once, or held until release() where `held` is set; the next reads can be
/// made to fail or to come back altered.
class FakeBlob : public RangeReader {
 public:
  explicit FakeBlob(std::vector<std::byte> data) : data_(std::move(data)) {}

  uint64_t size_bytes() const override { return data_.size(); }
  std::string name() const override { return "fake blob"; }

  void read(ByteRange range, MutableBytes out, Priority priority, RangeDone done) override {
    std::vector<RangeRead> one;
    one.push_back({range, out, std::move(done)});
    read_neighbours(std::move(one), priority);
  }

  void read_neighbours(std::vector<RangeRead> neighbours, Priority priority) override {
    ++requests;
    {
      MutexLock lock(mutex_);
      priorities_.push_back(priority);
    }
    for (RangeRead& each : neighbours) answer(each.range, each.out, std::move(each.done));
  }

  void distrust() override { ++distrusted; }

  /// Answers the reads held so far, last first, and holds no more; with `error`, where there is one.
  void release(const std::optional<Error>& error = std::nullopt) {
    std::deque<RangeDone> waiting;
    {
      MutexLock lock(mutex_);
      waiting.swap(waiting_);
      held = false;
    }
    while (!waiting.empty()) {
      waiting.back()(error);
      waiting.pop_back();
    }
  }

  /// Reads that are held at the moment.
  size_t waiting() const {
    MutexLock lock(mutex_);
    return waiting_.size();
  }
  /// Of the reads, in their order.
  std::vector<uint64_t> offsets() const {
    MutexLock lock(mutex_);
    return offsets_;
  }

  /// Of the requests, in their order.
  std::vector<Priority> priorities() const {
    MutexLock lock(mutex_);
    return priorities_;
  }

  std::atomic<int> reads{0};
  std::atomic<int> requests{0};  ///< neighbours count as one
  std::atomic<uint64_t> bytes{0};
  std::atomic<int> failures{0};
  std::atomic<int> altered{0};
  std::atomic<int> distrusted{0};
  std::atomic<uint64_t> flip_at{UINT64_MAX};  ///< of the next read of this byte one bit is another
  std::atomic<bool> held{false};

 private:
  void answer(ByteRange range, MutableBytes out, RangeDone done) {
    ++reads;
    {
      MutexLock lock(mutex_);
      offsets_.push_back(range.offset);
    }
    bytes += range.length;
    if (failures > 0) {
      --failures;
      return done(Error(ErrorKind::unavailable, "the fake is away"));
    }
    std::copy_n(data_.begin() + static_cast<ptrdiff_t>(range.offset), range.length, out.begin());
    if (altered > 0) {
      --altered;
      std::ranges::fill(out, std::byte{0xff});
    }
    if (uint64_t at = flip_at; at >= range.offset && at < range.end() && flip_at.compare_exchange_strong(at, UINT64_MAX))
      out[at - range.offset] ^= std::byte{1};
    if (!hold(done)) done(std::nullopt);
  }

  bool hold(RangeDone& done) {
    MutexLock lock(mutex_);
    if (held) waiting_.push_back(std::move(done));
    return held;
  }

  std::vector<std::byte> data_;
  mutable Mutex mutex_;
  std::vector<uint64_t> offsets_ GUARDED_BY(mutex_);
  std::vector<Priority> priorities_ GUARDED_BY(mutex_);
  std::deque<RangeDone> waiting_ GUARDED_BY(mutex_);
};

/// Bytes that differ at every offset of a test's size.
inline std::vector<std::byte> pattern(size_t size) {
  std::vector<std::byte> data(size);
  for (size_t i = 0; i < size; ++i) data[i] = static_cast<std::byte>((i * 2654435761u) >> 13);
  return data;
}

}  // namespace erofs_oci::testing
