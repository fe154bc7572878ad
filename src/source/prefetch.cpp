// SPDX-License-Identifier: Apache-2.0
#include "source/prefetch.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/mutex.h"
#include "source/access_record.h"

namespace erofs_oci {
namespace {

using Clock = std::chrono::steady_clock;

/// How often is looked whether readers still wait, or memory is free.
constexpr std::chrono::milliseconds kLook{10};
/// So many refusals in a row, with a pause behind each, mean that a store keeps nothing.
constexpr size_t kRefusals = 8;
/// At most so often is gone over the spans for those that were refused.
constexpr size_t kPasses = 2 * kRefusals;

Error stopped() {
  return Error(ErrorKind::unavailable, ECANCELED, "stopped");
}

std::vector<SpanPlace> with_store(const MappedDevice& device, std::vector<SpanPlace> order) {
  std::erase_if(order, [&](const SpanPlace& place) { return !device.streams()[place.stream]->store; });
  return order;
}

}  // namespace

/// What has been begun and not ended.
struct Prefetch::UnderWay {
  Mutex mutex;
  CondVar changed;
  size_t spans GUARDED_BY(mutex) = 0;
  uint64_t done GUARDED_BY(mutex) = 0;             // bytes in the stores
  size_t refusals GUARDED_BY(mutex) = 0;           // in a row; of spans of one pause, one
  uint64_t pauses GUARDED_BY(mutex) = 0;           // that refusals made
  Clock::time_point pause_ends GUARDED_BY(mutex);  // of the last
  std::optional<Error> away GUARDED_BY(mutex);     // ends the run
  std::optional<Error> failure GUARDED_BY(mutex);  // of a span

  /// `begun_after` pauses; `pause` is for what the store refused.
  void ended(const std::optional<Error>& error, bool kept, uint64_t length, uint64_t begun_after,
             Clock::duration pause) {
    MutexLock lock(mutex);
    --spans;
    if (kept) {
      done += length;
      refusals = 0;
    } else if (!error && begun_after == pauses) {
      ++refusals;
      ++pauses;
      pause_ends = Clock::now() + pause;
    }
    if (error) {
      auto& remembered = error->kind() == ErrorKind::unavailable ? away : failure;
      if (!remembered) remembered = error;
    }
    changed.notify_all();
  }
};

Prefetch::Prefetch(std::shared_ptr<const MappedDevice> device, std::vector<SpanPlace> order,
                   SpanLoader& loader, PrefetchOptions options)
    : device_(std::move(device)),
      order_(with_store(*device_, std::move(order))),
      loader_(loader),
      options_(options),
      under_way_(std::make_shared<UnderWay>()) {
  for (const SpanPlace& place : order_) total_ += length(place);
}

bool Prefetch::has(const SpanPlace& place) const {
  return device_->streams()[place.stream]->store->has(place.span);
}
uint64_t Prefetch::length(const SpanPlace& place) const {
  return device_->streams()[place.stream]->spans->output(place.span).length;
}

uint64_t Prefetch::run(const std::stop_token& stop, const Progress& progress) {
  const std::stop_callback wake(stop, [state = under_way_] {
    MutexLock lock(state->mutex);
    state->changed.notify_all();
  });
  {
    MutexLock lock(under_way_->mutex);
    under_way_->away.reset();
    under_way_->failure.reset();
    under_way_->refusals = 0;
    under_way_->done = 0;
    for (const SpanPlace& place : order_) under_way_->done += has(place) ? length(place) : 0;
  }
  pass(stop, progress);
  // Some may have been on their way to a store, and not there yet, when it was their turn; and where a store
  // was behind with its writes, it may not be now.
  for (size_t passes = 1; missing_bytes() != 0 && (passes < 2 || was_refused()) && passes < kPasses; ++passes)
    pass(stop, progress);
  tell(progress);
  MutexLock lock(under_way_->mutex);
  if (under_way_->failure) throw Error(*under_way_->failure);
  return missing_bytes();
}

void Prefetch::pass(const std::stop_token& stop, const Progress& progress) {
  for (size_t i = 0; i < order_.size();) i += has(order_[i]) ? 1 : start_neighbours(i, stop, progress);
  const auto is_under_way = [&] {
    MutexLock lock(under_way_->mutex);
    return under_way_->spans != 0;
  };
  while (is_under_way()) wait(Clock::now() + kTick, stop, progress);
  wait(Clock::now(), stop, progress);  // what the last ones ended with
}

/// Begins that span and those of the next that lie behind it, by one request; how many.
size_t Prefetch::start_neighbours(size_t first, const std::stop_token& stop, const Progress& progress) {
  wait_for_turn(stop, progress);
  size_t next = first;
  {
    SpanLoader::Together together(loader_);
    while (next < order_.size() && next - first < options_.neighbours &&
           order_[next] ==
               SpanPlace{order_[first].stream, order_[first].span + static_cast<uint32_t>(next - first)} &&
           !has(order_[next]) && start(order_[next]))
      ++next;
  }
  if (next == first) wait(Clock::now() + kLook, stop, progress);
  return next - first;
}

/// False where memory is short.
bool Prefetch::start(const SpanPlace& place) {
  const auto& stream = device_->streams()[place.stream];
  uint64_t pauses;
  {
    MutexLock lock(under_way_->mutex);
    ++under_way_->spans;
    pauses = under_way_->pauses;
  }
  const auto done = [state = under_way_, store = stream->store, place, bytes = length(place), pauses,
                     pause = options_.pause_when_refused](const std::optional<Error>& error) {
    state->ended(error, !error && store->has(place.span), bytes, pauses, pause);
  };
  const auto loaded = [record = device_->record(), place, begin = Clock::now()] {
    record->note(place, AccessKind::prefetch, begin);
  };
  if (!loader_.prefetch(stream, place.span, done, loaded)) {
    MutexLock lock(under_way_->mutex);
    --under_way_->spans;
    return false;
  }
  if (options_.rate) {
    const std::chrono::duration<double> cost(static_cast<double>(charge(place)) /
                                             static_cast<double>(*options_.rate));
    next_start_ = std::max(next_start_, Clock::now()) + std::chrono::duration_cast<Clock::duration>(cost);
  }
  return true;
}

/// The stored bytes that the span costs. A group is fetched once, from its start on: of it, the part that leads
/// to the span and has not been charged yet.
uint64_t Prefetch::charge(const SpanPlace& place) {
  const SpanTable& spans = *device_->streams()[place.stream]->spans;
  const SpanGroup group = spans.group(place.span);
  size_t& charged = charged_.try_emplace({place.stream, group.first}, group.first).first->second;
  const auto output = [&](size_t first, size_t end) {
    return static_cast<double>(spans.output(end - 1).end() - spans.output(first).offset);
  };
  const size_t first = std::exchange(charged, std::max<size_t>(charged, place.span + 1));
  if (charged == first) return 0;
  const double part = output(first, charged) / output(group.first, group.end());
  return static_cast<uint64_t>(part * static_cast<double>(spans.stored(place.span).length));
}

/// Until another span may be begun.
void Prefetch::wait_for_turn(const std::stop_token& stop, const Progress& progress) {
  const auto patience_ends = Clock::now() + options_.patience;
  for (;;) {
    wait(Clock::now(), stop, progress);
    bool is_full;
    Clock::time_point next_start = next_start_;
    {
      MutexLock lock(under_way_->mutex);
      next_start = std::max(next_start, under_way_->pause_ends);
      is_full = under_way_->spans >= options_.spans_at_a_time;
    }
    if (is_full) {
      wait(Clock::now() + kTick, stop, progress);
    } else if (Clock::now() < next_start) {
      wait(std::min(next_start, Clock::now() + kTick), stop, progress);
    } else if (loader_.is_waited_for() && Clock::now() < patience_ends) {
      wait(Clock::now() + kLook, stop, progress);
    } else {
      return;
    }
  }
}

/// Until something has ended, or that time. Throws what ends the run.
void Prefetch::wait(Clock::time_point until, const std::stop_token& stop, const Progress& progress) {
  {
    MutexLock lock(under_way_->mutex);
    if (!stop.stop_requested() && !under_way_->away && until > Clock::now())
      under_way_->changed.wait_until(under_way_->mutex, until);
    if (stop.stop_requested()) throw stopped();
    if (under_way_->away) throw Error(*under_way_->away);
    if (under_way_->refusals >= kRefusals)
      throw Error(ErrorKind::no_space,
                  "the cache on disk does not keep what is fetched; the daemon's log says why");
  }
  tell(progress);
}

void Prefetch::tell(const Progress& progress) {
  const auto now = Clock::now();
  if (!progress || now < next_tell_) return;
  next_tell_ = now + kTick;
  uint64_t done;
  {
    MutexLock lock(under_way_->mutex);
    done = under_way_->done;
  }
  progress(std::min(done, total_), total_);
}

/// The last one that ended.
bool Prefetch::was_refused() const {
  MutexLock lock(under_way_->mutex);
  return under_way_->refusals != 0;
}

uint64_t Prefetch::missing_bytes() const {
  uint64_t missing = 0;
  for (const SpanPlace& place : order_) missing += has(place) ? 0 : length(place);
  return missing;
}

}  // namespace erofs_oci
