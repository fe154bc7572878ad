// SPDX-License-Identifier: Apache-2.0
#include "source/span_loader.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace erofs_oci {
namespace {

/// Corrupt bytes may come from one bad cache on the way: so often a span is fetched before it is an error.
constexpr int kFetchesOfCorruptData = 2;

/// Of the memory bound, the part that may hold what nobody has asked for yet.
constexpr uint64_t kAheadShare = 3;

/// Whether the source does not answer, rather than the daemon ask no more.
bool is_away(const std::optional<Error>& error) {
  return error && error->kind() == ErrorKind::unavailable && error->errno_value() != ECANCELED;
}

}  // namespace

/// A span on its way; everybody who wants it waits here.
struct SpanLoader::Load : FetchQueue::Fetch, std::enable_shared_from_this<Load> {
  Load(std::shared_ptr<const Stream> of, size_t number, Priority urgency) : stream(std::move(of)) {
    blob = stream->blob.get();
    span = number;
    stored = stream->spans->stored(number);
    priority = asked_with = urgency;
    group_urgency = urgency;
  }

  const std::shared_ptr<const Stream> stream;
  std::vector<Waiter> waiters;         // guarded by the loader's mutex_, as the next three and what is a Fetch's
  Priority asked_with;                 // that of the request, whoever came after it
  std::vector<PrefetchDone> prefetch;  // told once the memory of the span can be had again
  bool ahead = false;                  // nobody has asked for it yet
  LoadedAhead loaded_ahead;
  std::atomic<Priority> group_urgency;  // of all who have waited
  Reservation input_memory;  // of the input, until something is fetched
  std::shared_ptr<Buffer> input;
  std::shared_ptr<Buffer> output;
  int fetches = 0;

  SpanKey key() const { return {stream->id, span}; }
  bool direct() const { return stream->spans->is_identity(); }
  bool in_group() const { return stream->spans->group(span).count > 1; }
};

SpanLoader::Together::Together(SpanLoader& loader) : loader_(loader) {
  MutexLock lock(loader_.mutex_);
  ++loader_.holds_;
}
SpanLoader::Together::~Together() {
  {
    MutexLock lock(loader_.mutex_);
    --loader_.holds_;
  }
  loader_.send_fetches();
}

SpanLoader::SpanLoader(MemoryBound& memory, WorkerPool& workers)
    : memory_(memory), workers_(workers) {
  memory_.set_evict([this](uint64_t wanted) { return evict(wanted); });
}

SpanLoader::~SpanLoader() {
  stop();
  {
    MutexLock lock(mutex_);
    while (unfinished_ != 0) load_finished_.wait(mutex_);
  }
  memory_.set_evict({});
}

void SpanLoader::stop() {
  fetching_.close();
  groups_.stop();
}

SpanRef SpanLoader::find(const Stream& stream, size_t span, uint64_t taken) {
  if (stream.spans->damage(span)) return nullptr;
  SpanRef cached;
  {
    MutexLock lock(mutex_);
    cached = cache_.find({stream.id, span}, taken);
  }
  return lend(std::move(cached));
}

void SpanLoader::load(const std::shared_ptr<const Stream>& stream, size_t span, Priority priority,
                      SpanDone done, uint64_t taken) {
  if (const auto damage = stream->spans->damage(span))
    return done({nullptr, damage->within(stream->blob->name())});
  std::shared_ptr<Load> load;
  SpanRef cached;
  {
    MutexLock lock(mutex_);
    const SpanKey key{stream->id, span};
    cached = cache_.find(key, taken);
    if (!cached) {
      std::shared_ptr<Load>& entry = loads_[key];
      if (entry) {
        end_ahead(*entry);
        add_waiter(*entry, {stream, priority, std::move(done), taken});
        fetches_.raise(*entry, priority);
      } else {
        entry = load = std::make_shared<Load>(stream, span, priority);
        add_waiter(*load, {stream, priority, std::move(done), taken});
        ++unfinished_;
      }
    }
  }
  if (cached) return done({lend(std::move(cached)), std::nullopt});
  load ? reserve(load) : send_fetches();  // what was raised may go at once
}

void SpanLoader::add_waiter(Load& load, Waiter waiter) {
  if (waiter.priority == Priority::foreground) ++waited_for_;
  load.group_urgency = std::min<Priority>(load.group_urgency, waiter.priority);
  load.waiters.push_back(std::move(waiter));
}

void SpanLoader::end_ahead(Load& load) {
  if (std::exchange(load.ahead, false)) loading_ahead_ -= load.stream->spans->output(load.span).length;
}

void SpanLoader::reserve(const std::shared_ptr<Load>& load) {
  memory_.reserve(MemoryBound::Kind::span, memory_for(*load->stream, load->span),
                  [this, load](Reservation reservation) { start(load, std::move(reservation)); });
}

uint64_t SpanLoader::memory_for(const Stream& stream, size_t span) {
  const SpanTable& spans = *stream.spans;
  const bool has_stored = !spans.is_identity() && spans.group(span).count == 1;
  return spans.output(span).length + (has_stored ? spans.stored(span).length : 0);
}

bool SpanLoader::may_load_ahead(SpanKey key, uint64_t bytes) {
  return !cache_.contains(key) && !loads_.contains(key) &&
         cache_.ahead_bytes() + loading_ahead_ + bytes <= memory_.limit() / kAheadShare;
}

void SpanLoader::load_ahead(const std::shared_ptr<const Stream>& stream, size_t span, LoadedAhead loaded) {
  if (stream->spans->damage(span)) return;
  // A group is decoded as far as it is wanted, or all of it: that is ahead enough.
  if (stream->spans->group(span).count > 1 && !(stream->store && stream->store->has(span))) return;
  const SpanKey key{stream->id, span};
  const uint64_t bytes = stream->spans->output(span).length;
  {
    MutexLock lock(mutex_);
    if (!may_load_ahead(key, bytes)) return;
  }
  std::optional<Reservation> reservation =
      memory_.try_reserve(MemoryBound::Kind::span, memory_for(*stream, span));
  if (!reservation) return;
  auto load = std::make_shared<Load>(stream, span, Priority::read_ahead);
  load->ahead = true;
  load->loaded_ahead = std::move(loaded);
  {
    MutexLock lock(mutex_);
    if (!may_load_ahead(key, bytes)) return;
    loads_.emplace(key, load);
    loading_ahead_ += bytes;
    ++unfinished_;
  }
  start(load, std::move(*reservation));
}

bool SpanLoader::prefetch(const std::shared_ptr<const Stream>& stream, size_t span, PrefetchDone done,
                          LoadedAhead loaded) {
  const SpanKey key{stream->id, span};
  SpanRef cached;
  {
    MutexLock lock(mutex_);
    cached = cache_.peek(key);
  }
  if (cached) {
    stream->store->keep(span, told_when_free(lend(std::move(cached)), {std::move(done)}));
    return true;
  }
  std::optional<Reservation> reservation =
      memory_.try_reserve(MemoryBound::Kind::span, memory_for(*stream, span));
  if (!reservation) return false;
  auto load = std::make_shared<Load>(stream, span, Priority::prefetch);
  load->loaded_ahead = std::move(loaded);
  load->prefetch.push_back(std::move(done));
  {
    MutexLock lock(mutex_);
    if (cache_.contains(key)) return false;  // it has just come: the next call keeps it
    std::shared_ptr<Load>& entry = loads_[key];
    if (entry) {
      entry->prefetch.push_back(std::move(load->prefetch.front()));
      return true;
    }
    entry = load;
    ++unfinished_;
  }
  start(load, std::move(*reservation));
  return true;
}

void SpanLoader::start(const std::shared_ptr<Load>& load, Reservation reservation) {
  try {
    const uint64_t output_length = load->stream->spans->output(load->span).length;
    load->output = memory_.allocate(reservation.split(output_length));
    load->input_memory = std::move(reservation);
  } catch (const Error& error) {
    return finish(load, error);
  }
  const auto& store = load->stream->store;
  if (store && store->has(load->span))
    return workers_.post(load->priority, [this, load] { load_kept(load); });
  fetch(load);
}

void SpanLoader::load_kept(const std::shared_ptr<Load>& load) {
  const Stream& stream = *load->stream;
  if (!stream.store->load(load->span, load->output->bytes())) return fetch(load);
  try {
    stream.spans->check_kept(load->span, load->output->bytes());
  } catch (const Error&) {  // what is fetched now is checked the same way, and tells
    stream.store->drop(load->span);
    return fetch(load);
  }
  finish(load, std::nullopt);
}

void SpanLoader::fetch(const std::shared_ptr<Load>& load) {
  ++load->fetches;
  if (load->in_group()) return fetch_group(load);
  try {
    if (!load->direct() && !load->input) load->input = memory_.allocate(std::move(load->input_memory));
  } catch (const Error& error) {
    return finish(load, error);
  }
  {
    MutexLock lock(mutex_);
    fetches_.add(*load);
  }
  send_fetches();
}

void SpanLoader::send_fetches() {
  for (;;) {
    std::vector<std::shared_ptr<Load>> neighbours;
    Priority priority{};
    {
      MutexLock lock(mutex_);
      if (holds_ != 0) return;
      for (FetchQueue::Fetch* fetch : fetches_.next()) {
        neighbours.push_back(static_cast<Load*>(fetch)->shared_from_this());
        neighbours.back()->asked_with = fetch->priority;
      }
      if (neighbours.empty()) return;
      priority = neighbours.front()->priority;
    }
    fetch_neighbours(neighbours, priority);
  }
}

void SpanLoader::fetch_neighbours(const std::vector<std::shared_ptr<Load>>& loads, Priority priority) {
  const Gate::Pass pass(fetching_);
  if (!pass) {
    for (const auto& load : loads)
      finish(load, Error(ErrorKind::unavailable, ECANCELED, "the daemon is stopping"));
    return;
  }
  std::vector<RangeRead> reads;
  for (const auto& load : loads) {
    reads.push_back({load->stored, load->direct() ? load->output->bytes() : load->input->bytes(),
                     [this, load](std::optional<Error> error) { fetched(load, std::move(error)); }});
  }
  loads.front()->stream->blob->read_neighbours(std::move(reads), priority);
}

void SpanLoader::fetched(const std::shared_ptr<Load>& load, std::optional<Error> error) {
  if (error || (load->direct() && !load->stream->spans->has_digests())) return finish(load, std::move(error));
  const Priority priority = [&] {
    MutexLock lock(mutex_);  // somebody more urgent may have come
    return load->priority;
  }();
  workers_.post(priority, [this, load] { decode(load); });
}

void SpanLoader::decode(const std::shared_ptr<Load>& load) {
  const SpanTable& spans = *load->stream->spans;
  try {
    load->direct() ? spans.verify(load->span, load->output->bytes())
                   : spans.decode(load->span, load->input->bytes(), load->output->bytes());
  } catch (const Error& error) {
    return decoding_failed(load, error);
  }
  finish(load, std::nullopt);
}

/// Fetched, decoded and verified there.
void SpanLoader::fetch_group(const std::shared_ptr<Load>& load) {
  groups_.load(load->stream, load->span, load->output->bytes(), {load, &load->group_urgency},
               [this, load](std::optional<Error> error) { finish(load, std::move(error)); });
}

void SpanLoader::decoding_failed(const std::shared_ptr<Load>& load, const Error& error) {
  if (error.kind() == ErrorKind::corrupt && load->fetches < kFetchesOfCorruptData) {
    load->stream->blob->distrust();
    return fetch(load);
  }
  forget_damaged(*load);
  finish(load, error.within(load->stream->blob->name()));
}

/// What a span tells of its neighbours comes too late for what was kept of them.
void SpanLoader::forget_damaged(const Load& load) {
  const Stream& stream = *load.stream;
  const size_t first = load.span == 0 ? 0 : load.span - 1;
  const size_t end = std::min(load.span + 2, stream.spans->span_count());
  for (size_t span = first; span < end; ++span) {
    if (!stream.spans->damage(span)) continue;
    if (stream.store) stream.store->drop(span);
    SpanRef forgotten;  // freed after the lock
    MutexLock lock(mutex_);
    forgotten = cache_.remove({stream.id, span});
  }
}

void SpanLoader::finish(const std::shared_ptr<Load>& load, std::optional<Error> error) {
  load->input.reset();
  load->input_memory = Reservation();
  SpanRef output = error ? nullptr : std::move(load->output);
  load->output.reset();
  SpanRef span = lend(output);
  std::vector<Waiter> waiters;
  std::vector<PrefetchDone> prefetch;
  std::shared_ptr<Load> next;
  std::vector<std::shared_ptr<Load>> behind;
  {
    MutexLock lock(mutex_);
    if (load->fetches != 0) fetches_.end(*load);
    if (is_away(error)) {
      for (FetchQueue::Fetch* fetch : fetches_.take_waiting(load->blob))
        behind.push_back(static_cast<Load*>(fetch)->shared_from_this());
    }
    waiters.swap(load->waiters);
    prefetch.swap(load->prefetch);
    using enum SpanCache::Reason;
    const SpanCache::Reason reason = !waiters.empty() ? asked_for
                                     : load->ahead    ? ahead
                                                      : SpanCache::Reason::prefetch;
    end_ahead(*load);
    uint64_t taken = 0;
    for (const Waiter& waiter : waiters) taken += waiter.taken;
    const bool wanted = !waiters.empty() || uses_.contains(load->stream->id);
    if (output && wanted) cache_.insert(load->key(), std::move(output), reason, taken);
    if (error) next = load_for_others(*load, *error, waiters);
    if (next) {
      loads_[next->key()] = next;
      ++unfinished_;
    } else {
      loads_.erase(load->key());
    }
  }
  if (next) reserve(next);
  send_fetches();
  for (const auto& each : behind) finish(each, error);  // it would find the source away as well
  if (!error && load->loaded_ahead) load->loaded_ahead();
  if (!prefetch.empty() && error) {
    for (const PrefetchDone& done : prefetch) done(error);
  } else if (!prefetch.empty()) {
    span = told_when_free(std::move(span), std::move(prefetch));
  }
  const SpanOrigin origin = load->fetches == 0 ? SpanOrigin::disk : SpanOrigin::fetched;
  for (Waiter& waiter : waiters) {
    if (waiter.priority == Priority::foreground) --waited_for_;
    waiter.done({span, error, origin});
  }
  if (span && load->fetches != 0 && load->stream->store) load->stream->store->keep(load->span, span);
  waiters.clear();  // may hold the last reference to a device, which forgets its spans here
  span.reset();
  MutexLock lock(mutex_);
  --unfinished_;
  load_finished_.notify_all();
}

/// Takes those out of `waiters` who asked by another stream than the one that failed, or came to one that had
/// been asked for ahead of them and waited in vain for the registry; null where there are none.
std::shared_ptr<SpanLoader::Load> SpanLoader::load_for_others(const Load& failed, const Error& error,
                                                              std::vector<Waiter>& waiters) {
  const bool was_away = is_away(error);
  const auto others = std::ranges::stable_partition(waiters, [&](const Waiter& waiter) {
    return waiter.stream == failed.stream && !(was_away && waiter.priority < failed.asked_with);
  });
  if (others.empty()) return nullptr;
  auto load = std::make_shared<Load>(others.front().stream, failed.span, others.front().priority);
  load->waiters.assign(std::move_iterator(others.begin()), std::move_iterator(others.end()));
  waiters.erase(others.begin(), others.end());
  return load;
}

/// A cached span as a reader gets it: once its last reader drops it, it can be evicted, and a load may wait for that.
/// Without this nobody would tell the bound, since no reservation is given back.
SpanRef SpanLoader::lend(SpanRef span) {
  if (!span) return nullptr;
  const Buffer* buffer = span.get();
  return {buffer, [memory = &memory_, span = std::move(span)](const Buffer*) mutable {
            span.reset();
            memory->retry();
          }};
}

/// The span as another reference, whose last owner's end is told.
SpanRef SpanLoader::told_when_free(SpanRef span, std::vector<PrefetchDone> prefetch) {
  const Buffer* buffer = span.get();
  return {buffer, [span = std::move(span), prefetch = std::move(prefetch)](const Buffer*) mutable {
            span.reset();
            for (const PrefetchDone& done : prefetch) done(std::nullopt);
          }};
}

bool SpanLoader::evict(uint64_t wanted) {
  std::vector<SpanRef> victims;
  {
    MutexLock lock(mutex_);
    victims = cache_.evict(wanted);
  }
  return !victims.empty();  // they are freed here, after the lock
}

void SpanLoader::use(const Stream& stream) {
  MutexLock lock(mutex_);
  ++uses_[stream.id];
}

void SpanLoader::drop(const Stream& stream) {
  std::vector<SpanRef> dropped;
  {
    MutexLock lock(mutex_);
    const auto used = uses_.find(stream.id);
    if (used != uses_.end() && --used->second != 0) return;
    if (used != uses_.end()) uses_.erase(used);
    dropped = cache_.remove_stream(stream.id);
  }
}

}  // namespace erofs_oci
