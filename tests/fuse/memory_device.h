// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cerrno>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "source/block_device.h"

namespace erofs_oci {

/// A device in memory whose answers can be held back, cut into pieces and replaced by errors. Thread-safe.
class MemoryDevice : public BlockDevice {
 public:
  explicit MemoryDevice(std::string content)
      : content_(std::make_shared<const std::string>(std::move(content))) {}

  uint64_t size_bytes() const override { return content_->size(); }
  uint32_t block_size() const override { return 4096; }

  void read(ByteRange range, ReadDone done) override {
    read_or_wait(range, {}, std::move(done), [] {});
  }
  void read_or_wait(ByteRange range, ReadArrival arrived, ReadDone done, ReadWaits waits) override {
    MutexLock lock(mutex_);
    ++reads_;
    last_arrival_ = arrived;
    largest_read_ = std::max(largest_read_, range.length);
    changed_.notify_all();
    auto answer = [this, range, done = std::move(done)] { done(result(range)); };
    if (holding_)
      held_.push_back({std::move(answer), std::move(waits)});
    else
      answer();
  }

  /// From now on reads are kept until let_go().
  void hold(bool holding = true) {
    MutexLock lock(mutex_);
    holding_ = holding;
  }
  /// Answers the reads that were kept, on the calling thread, the last one first, and keeps no more.
  void let_go() {
    hold(false);
    while (answer_one()) continue;
  }
  /// Answers the read that was kept last; false where there is none.
  bool answer_one() {
    std::function<void()> answer;
    {
      MutexLock lock(mutex_);
      if (held_.empty()) return false;
      answer = std::move(held_.back().answer);
      held_.pop_back();
    }
    answer();
    return true;
  }
  /// The read that was kept last waits for its source.
  void tell_waiting() {
    ReadWaits waits;
    {
      MutexLock lock(mutex_);
      waits = held_.back().waits;
    }
    waits();
  }
  void wait_for_held(size_t count) {
    MutexLock lock(mutex_);
    while (held_.size() < count) changed_.wait(mutex_);
  }

  uint64_t reads() {
    MutexLock lock(mutex_);
    return reads_;
  }
  uint64_t largest_read() {
    MutexLock lock(mutex_);
    return largest_read_;
  }

  ReadArrival last_arrival() {
    MutexLock lock(mutex_);
    return last_arrival_;
  }

  std::atomic<int> errno_value = 0;           ///< what reads fail with
  std::atomic<uint64_t> slice_bytes = ~0ull;  ///< how long the pieces of a payload are at most
  std::atomic<uint64_t> missing_bytes = 0;    ///< by how much answers are too short

 private:
  struct Held {
    std::function<void()> answer;
    ReadWaits waits;
  };

  ReadResult result(ByteRange range) const {
    if (errno_value != 0) return {errno_value, {}};
    ReadResult result;
    const uint64_t end = range.end() - missing_bytes;
    for (uint64_t at = range.offset; at < end;) {
      const uint64_t length = std::min<uint64_t>(slice_bytes, end - at);
      result.payload.push_back({as_bytes(*content_).subspan(at, length), content_});
      at += length;
    }
    return result;
  }

  const std::shared_ptr<const std::string> content_;
  Mutex mutex_;
  CondVar changed_;
  bool holding_ GUARDED_BY(mutex_) = false;
  uint64_t reads_ GUARDED_BY(mutex_) = 0;
  uint64_t largest_read_ GUARDED_BY(mutex_) = 0;
  ReadArrival last_arrival_ GUARDED_BY(mutex_);
  std::vector<Held> held_ GUARDED_BY(mutex_);
};

}  // namespace erofs_oci
