// SPDX-License-Identifier: Apache-2.0
#include "source/access_record.h"

#include <time.h>

#include <algorithm>
#include <memory>

namespace erofs_oci {
namespace {

using std::chrono::microseconds;

/// The same clock as Clock, as the last tick of the kernel left it: a third of the price.
std::chrono::nanoseconds coarse_now() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

}  // namespace

AccessRecord::AccessRecord() : opened_(Clock::now()) {}

AccessRecord::~AccessRecord() {
  for (auto& chunk : chunks_) const std::unique_ptr<Chunk> owned(chunk.load());
}

microseconds AccessRecord::age() const {
  return std::chrono::duration_cast<microseconds>(Clock::now() - opened_);
}

/// Whether a reader has not read the span in this period; the next is then no news. Two spans that share a
/// place here are news too often, not too seldom.
bool AccessRecord::is_news(SpanPlace place, uint64_t milliseconds) {
  const uint64_t period = milliseconds / static_cast<uint64_t>(kPeriod.count()) + 1;
  const uint64_t stamp = (period << 48) | (uint64_t{place.stream & 0xffff} << 32) | place.span;
  auto& recent = recent_[(place.span + place.stream * 31) % kRecent];
  if (recent.load(std::memory_order_relaxed) == stamp) return false;
  recent.store(stamp, std::memory_order_relaxed);
  return true;
}

void AccessRecord::note_hit(SpanPlace place) {
  // The coarse clock may be behind the moment that we were made.
  const auto since = std::max(coarse_now() - opened_.time_since_epoch(), std::chrono::nanoseconds(0));
  if (!is_news(place, static_cast<uint64_t>(since / std::chrono::milliseconds(1)))) return;
  if (count_.load(std::memory_order_relaxed) >= kMax / 2) {
    ++left_out_;
    return;
  }
  add(place, AccessKind::memory, std::chrono::duration_cast<microseconds>(since), microseconds(0));
}

void AccessRecord::note(SpanPlace place, AccessKind kind, Clock::time_point begin) {
  const auto now = Clock::now();
  const bool is_readers = kind < AccessKind::read_ahead;
  if (is_readers && !is_news(place, static_cast<uint64_t>((now - opened_) / std::chrono::milliseconds(1))))
    return;
  const auto since = std::max(begin - opened_, Clock::duration(0));
  add(place, kind, std::chrono::duration_cast<microseconds>(since),
      std::chrono::duration_cast<microseconds>(now - begin));
}

void AccessRecord::add(SpanPlace place, AccessKind kind, microseconds begin, microseconds duration) {
  if (count_.load(std::memory_order_relaxed) >= kMax) {
    ++left_out_;
    return;
  }
  const size_t number = count_.fetch_add(1, std::memory_order_relaxed);
  if (number >= kMax) {
    ++left_out_;
    return;
  }
  const uint64_t time = std::min<uint64_t>(static_cast<uint64_t>(begin.count()), (uint64_t{1} << 40) - 1);
  const uint64_t took = std::min<uint64_t>(static_cast<uint64_t>(duration.count()), UINT32_MAX);
  Event& slot = event(number);
  slot.tail.store((took << 32) | place.span, std::memory_order_relaxed);
  slot.head.store((time << 24) | (uint64_t{place.stream & 0xffff} << 8) | (static_cast<uint64_t>(kind) + 1),
                  std::memory_order_release);
}

/// Whoever comes first to a chunk makes it.
AccessRecord::Event& AccessRecord::event(size_t number) {
  auto& place = chunks_[number / kChunk];
  Chunk* chunk = place.load(std::memory_order_acquire);
  if (chunk == nullptr) {
    auto fresh = std::make_unique<Chunk>();
    if (place.compare_exchange_strong(chunk, fresh.get(), std::memory_order_acq_rel)) chunk = fresh.release();
  }
  return (*chunk)[number % kChunk];
}

std::vector<Access> AccessRecord::accesses() const {
  std::vector<Access> found;
  const size_t count = std::min(count_.load(std::memory_order_relaxed), kMax);
  for (size_t number = 0; number < count; ++number) {
    const Chunk* const chunk = chunks_[number / kChunk].load(std::memory_order_acquire);
    if (chunk == nullptr) continue;
    const Event& event = (*chunk)[number % kChunk];
    const uint64_t head = event.head.load(std::memory_order_acquire);
    if (head == 0) continue;  // being written
    const uint64_t tail = event.tail.load(std::memory_order_relaxed);
    Access access;
    access.begin = microseconds(head >> 24);
    access.duration = microseconds(tail >> 32);
    access.place = {static_cast<uint32_t>(head >> 8) & 0xffff, static_cast<uint32_t>(tail)};
    access.kind = static_cast<AccessKind>((head & 0xff) - 1);
    found.push_back(access);
  }
  std::ranges::stable_sort(found, {}, &Access::begin);
  return found;
}

}  // namespace erofs_oci
