// SPDX-License-Identifier: Apache-2.0
#include "source/group_loader.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <deque>

#include "base/error.h"
#include "index/blob_stream.h"

namespace erofs_oci {
namespace {

/// So often a group is fetched before corrupt bytes are an error.
constexpr int kFetchesOfCorruptData = 2;
/// Without a store, so long the place in a group is kept for a reader who goes on from there.
constexpr std::chrono::seconds kPatience{10};

Error stopped() {
  return Error(ErrorKind::unavailable, ECANCELED, "the daemon is stopping");
}

}  // namespace

/// Buffers of spans that are being stored, few at a time: decoding waits for the disk, or most would not be
/// stored.
class GroupLoader::SpareSpans : public std::enable_shared_from_this<SpareSpans> {
 public:
  std::shared_ptr<Buffer> take(size_t size) {
    {
      MutexLock lock(mutex_);
      while (taken_ == kSpansToStore) returned_.wait(mutex_);
      ++taken_;
    }
    std::unique_ptr<Buffer> buffer;
    try {
      buffer = std::make_unique<Buffer>(size);
    } catch (...) {
      give_back();
      throw;
    }
    return {buffer.release(), [self = shared_from_this()](Buffer* used) {
              delete used;
              self->give_back();
            }};
  }

 private:
  void give_back() {
    MutexLock lock(mutex_);
    --taken_;
    returned_.notify_one();
  }

  Mutex mutex_;
  CondVar returned_;
  size_t taken_ GUARDED_BY(mutex_) = 0;
};

/// One way through a group, from its start to where nobody needs more of it. It reads its blob through itself,
/// to be sure that it does so no more once the loader has been stopped.
class GroupLoader::Pass : RangeReader {
 public:
  Pass(GroupLoader& owner, std::shared_ptr<const Stream> stream, SpanGroup group)
      : owner_(owner), stream_(std::move(stream)), spans_(*stream_->spans), group_(group) {}

  void run() {
    for (int fetches = 1;; ++fetches) {
      try {
        return run_once();
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::corrupt || fetches == kFetchesOfCorruptData) return fail(error);
        if (want_) owner_.put_back(*std::exchange(want_, std::nullopt));
        stream_->blob->distrust();
      } catch (const std::bad_alloc&) {
        return fail(Error(ErrorKind::system, ENOMEM, "no memory to decompress a layer that is one piece"));
      }
    }
  }

 private:
  void run_once() {
    const auto decoder = spans_.decode_group(group_.first);
    span_ = group_.first;
    BlobStream stored(*this, spans_.stored(group_.first), kStoredPiece, Priority::prefetch);
    is_over_ = false;
    passed_by_ = 0;
    brought_ = 0;
    begin_span(group_.first);
    while (!is_over_) {
      const Bytes piece = stored.next();
      with_context(stream_->blob->name(), [&] {
        if (piece.empty()) throw make_error(ErrorKind::corrupt, "ends before span {} does", span_);
        decoder->feed(piece, [this](Bytes bytes) { consume(bytes); });
      });
    }
  }

  uint64_t size_bytes() const override { return stream_->blob->size_bytes(); }
  std::string name() const override { return stream_->blob->name(); }
  void read(ByteRange range, MutableBytes out, Priority, RangeDone done) override {
    const Gate::Pass pass(owner_.reading_);
    if (!pass) return done(stopped());
    stream_->blob->read(range, out, urgency(), std::move(done));
  }
  /// Of what is decoded from now on. To go on for the store is to read ahead.
  Priority urgency() {
    Priority least = for_readers_ ? Priority::read_ahead : Priority::prefetch;
    if (want_) least = std::min<Priority>(least, *want_->urgency);
    return owner_.urgency_of(*stream_, span_, group_.end(), least);
  }

  void begin_span(size_t span) {
    span_ = span;
    filled_ = 0;
    length_ = spans_.output(span).length;
    to_store_.reset();
    want_ = owner_.take(*stream_, span, span + 1);
    if (!want_ && stream_->store && !stream_->store->has(span)) to_store_ = spare_span();
  }

  MutableBytes target() {
    if (want_) return want_->out;
    return to_store_ ? to_store_->bytes() : MutableBytes();
  }

  void consume(Bytes bytes) {
    while (!bytes.empty() && !is_over_) {
      const Bytes part = bytes.first(std::min<uint64_t>(bytes.size(), length_ - filled_));
      if (const MutableBytes out = target(); !out.empty())
        std::memcpy(out.data() + filled_, part.data(), part.size());
      filled_ += part.size();
      bytes = bytes.subspan(part.size());
      if (filled_ == length_) end_span();
    }
  }

  void end_span() {
    if (const MutableBytes out = target(); !out.empty()) {
      spans_.verify(span_, out);
      deliver();
      ++brought_;
    } else {
      ++passed_by_;
    }
    is_over_ =
        span_ + 1 == group_.end() || !owner_.is_wanted(*stream_, span_ + 1, group_.end(), is_storing());
    if (!is_over_) begin_span(span_ + 1);
  }

  void deliver() {
    const auto decoded = std::exchange(to_store_, nullptr);
    if (decoded) {  // somebody may have asked meanwhile
      want_ = owner_.take(*stream_, span_, span_ + 1);
      if (want_) std::memcpy(want_->out.data(), decoded->bytes().data(), length_);
    }
    if (want_) {  // whoever loads it stores it as well
      for_readers_ = for_readers_ || want_->is_readers();
      want_->done(std::nullopt);
      want_.reset();
    } else {
      stream_->store->keep(span_, decoded);
      given_.push_back(span_);
    }
  }

  /// Those that were given before this one was free are stored, or it failed.
  std::shared_ptr<Buffer> spare_span() {
    auto spare = owner_.spare_->take(length_);
    for (; given_.size() >= kSpansToStore; given_.pop_front())
      if (!stream_->store->has(given_.front())) store_fails_ = true;
    return spare;
  }
  bool is_storing() const {
    return stream_->store && !store_fails_ && (for_readers_ || brought_ < passed_by_);
  }

  void fail(const Error& error) {
    if (want_) want_->done(error);
    want_.reset();
    owner_.fail_group(stream_, group_, error);
  }

  GroupLoader& owner_;
  const std::shared_ptr<const Stream> stream_;
  const SpanTable& spans_;
  const SpanGroup group_;
  size_t span_ = 0;
  uint64_t filled_ = 0;
  uint64_t length_ = 0;
  std::optional<Want> want_;
  std::shared_ptr<Buffer> to_store_;
  std::deque<size_t> given_;
  size_t passed_by_ = 0;  // spans that were there already
  size_t brought_ = 0;
  bool for_readers_ = false;  // some of it was
  bool store_fails_ = false;
  bool is_over_ = false;
};

GroupLoader::GroupLoader() : spare_(std::make_shared<SpareSpans>()) {
  thread_ = std::jthread([this] {
    ::pthread_setname_np(::pthread_self(), "whole-fetch");
    run();
  });
}

GroupLoader::~GroupLoader() {
  stop();
}

void GroupLoader::stop() {
  std::list<Want> left;
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    left.swap(wants_);
    changed_.notify_all();
  }
  reading_.close();
  for (const Want& want : left) want.done(stopped());
}

void GroupLoader::load(std::shared_ptr<const Stream> stream, size_t span, MutableBytes out, Urgency urgency,
                       GroupDone done) {
  {
    MutexLock lock(mutex_);
    if (!stopping_) {
      wants_.push_back({std::move(stream), span, out, std::move(urgency), std::move(done)});
      changed_.notify_all();
      return;
    }
  }
  done(stopped());
}

void GroupLoader::run() {
  SpanGroup group;
  while (auto stream = next_group(group)) {
    if (!find_kept(stream, group)) Pass(*this, std::move(stream), group).run();
  }
}

/// Waits until one is wanted; null at the end.
std::shared_ptr<const Stream> GroupLoader::next_group(SpanGroup& group) {
  MutexLock lock(mutex_);
  while (wants_.empty() && !stopping_) changed_.wait(mutex_);
  if (stopping_) return nullptr;
  const auto next = std::ranges::min_element(wants_, {}, [](const Want& want) { return want.urgency->load(); });
  group = next->stream->spans->group(next->span);
  return next->stream;
}

/// What was passed by before somebody wanted it may have been stored. Whether there was any such.
bool GroupLoader::find_kept(const std::shared_ptr<const Stream>& stream, SpanGroup group) {
  if (!stream->store) return false;
  bool any = false;
  for (size_t span = group.first; span < group.end(); ++span) {
    if (!stream->store->has(span)) continue;
    auto want = take(*stream, span, span + 1);
    if (!want) continue;
    if (stream->store->load(span, want->out)) {
      want->done(std::nullopt);
      any = true;
    } else {
      put_back(*std::move(want));
    }
  }
  return any;
}

/// The want of one of these spans, which is then the caller's to end.
std::optional<GroupLoader::Want> GroupLoader::take(const Stream& stream, size_t first, size_t end) {
  MutexLock lock(mutex_);
  const auto found =
      std::ranges::find_if(wants_, [&](const Want& want) { return want.is_of(stream, first, end); });
  if (found == wants_.end()) return std::nullopt;
  std::optional<Want> want(std::move(*found));
  wants_.erase(found);
  return want;
}

/// It is the first to be served once more; after a stop it fails.
void GroupLoader::put_back(Want want) {
  {
    MutexLock lock(mutex_);
    if (!stopping_) {
      wants_.push_front(std::move(want));
      return;
    }
  }
  want.done(stopped());
}

/// Whether somebody needs spans [from, end): a reader, or, where no reader waits for others, a prefetch or the
/// store, or where nobody does, who comes within a while.
bool GroupLoader::is_wanted(const Stream& stream, size_t from, size_t end, bool for_store) {
  const auto patience = std::chrono::steady_clock::now() + kPatience;
  MutexLock lock(mutex_);
  for (;;) {
    if (stopping_) return false;
    const auto is_here = [&](const Want& want) { return want.is_of(stream, from, end); };
    if (std::ranges::any_of(wants_, [&](const Want& want) { return is_here(want) && want.is_readers(); }))
      return true;
    if (std::ranges::any_of(wants_, &Want::is_readers)) return false;
    if (for_store || std::ranges::any_of(wants_, is_here)) return true;
    if (!wants_.empty()) return false;
    if (!changed_.wait_until(mutex_, patience)) return false;
  }
}

/// The most urgent that spans [from, end) are wanted with, or `least`.
Priority GroupLoader::urgency_of(const Stream& stream, size_t from, size_t end, Priority least) {
  MutexLock lock(mutex_);
  for (const Want& want : wants_)
    if (want.is_of(stream, from, end)) least = std::min<Priority>(least, *want.urgency);
  return least;
}

/// Those who want it by another stream go on with that one's blob.
void GroupLoader::fail_group(const std::shared_ptr<const Stream>& stream, SpanGroup group,
                             const Error& error) {
  std::list<Want> failed;
  {
    MutexLock lock(mutex_);
    for (auto want = wants_.begin(); want != wants_.end();) {
      const auto next = std::next(want);
      if (want->stream == stream && want->span >= group.first && want->span < group.end())
        failed.splice(failed.end(), wants_, want);
      want = next;
    }
  }
  for (const Want& want : failed) want.done(error);
}

}  // namespace erofs_oci
