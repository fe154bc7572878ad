// SPDX-License-Identifier: Apache-2.0
#include "registry/blob.h"

#include <array>
#include <cassert>
#include <span>

#include "base/text.h"
#include "http/url.h"

namespace erofs_oci::registry {
namespace {

// Fewer bytes in one answer count as a failed try: a server that sends a byte at a time must not keep a read
// for ever.
constexpr uint64_t kUsefulBytes = 4096;

std::string name_of(const Descriptor& descriptor, const Repository& repository) {
  return fmt::format("layer sha256:{}… of {}", descriptor.digest.hex().substr(0, 12), repository.name());
}

// Answers that say that a signed URL has expired or lost its object, or that its server is not well.
bool is_stale(int status) {
  return status >= 400 && status != 408 && status != 416 && status != 429;
}

/// Takes a whole blob and keeps nothing.
class NowhereSink final : public http::BodySink {
 public:
  NowhereSink(uint64_t size_bytes, TrafficCounters& counters) : left_(size_bytes), counters_(counters) {}
  void begin(const http::ResponseHead&) override {}
  bool write(Bytes piece) override {
    counters_.bytes_received += piece.size();
    const bool within = piece.size() <= left_;
    left_ -= std::min<uint64_t>(piece.size(), left_);
    return within;
  }

 private:
  uint64_t left_;
  TrafficCounters& counters_;
};

}  // namespace

Blob::Blob(std::shared_ptr<Repository> repository, Descriptor descriptor, RetrySettings reading)
    : repository_(std::move(repository)),
      descriptor_(std::move(descriptor)),
      path_("blobs/" + to_string(descriptor_.digest)),
      name_(name_of(descriptor_, *repository_)),
      reading_(reading) {}

http::Task<std::shared_ptr<Blob>> Blob::open(std::shared_ptr<Repository> repository, Descriptor descriptor,
                                             RetrySettings reading) {
  const std::shared_ptr<Blob> blob(new Blob(std::move(repository), std::move(descriptor), reading));
  const Purpose purpose{Priority::foreground, blob->repository_->settings().retry,
                        blob->repository_->opening()};
  try {
    co_await blob->probe(purpose);
  } catch (const Error& error) {
    throw error.within("opening " + blob->name());
  }
  co_return blob;
}

// HEAD may be refused where a GET is not, by signed URLs above all; so one byte is asked for.
http::Task<void> Blob::probe(const Purpose& purpose) {
  for (const bool last : {false, true}) {
    if (size_bytes() == 0) co_return;
    std::array<std::byte, 1> byte{};
    RangeFill first_byte({0, 1}, byte);
    co_await fill(first_byte, purpose);
    if (!whole_came_) co_return;
    if (size_bytes() <= kMaxWholeBlob) {
      co_await take_whole(purpose);
      co_return;
    }
    if (last) break;
    co_await warm_up(purpose.group);
  }
  throw make_error(ErrorKind::unsupported,
                   "the registry ignores ranges, and {} are too much to be kept whole",
                   human_size(size_bytes()));
}

http::Task<void> Blob::take_whole(const Purpose& purpose) {
  std::string content(size_bytes(), '\0');
  RangeFill all({0, size_bytes()}, std::as_writable_bytes(std::span(content)));
  co_await fill(all, purpose);
  verify(descriptor_, content, "its content");
  whole_ = std::move(content);
}

void Blob::read(ByteRange range, MutableBytes out, Priority priority, RangeDone done) {
  std::vector<RangeRead> reads;
  reads.push_back({range, out, std::move(done)});
  read_neighbours(std::move(reads), priority);
}

void Blob::read_neighbours(std::vector<RangeRead> reads, Priority priority) {
  assert(!reads.empty() && reads.back().range.fits_in(size_bytes()));
  repository_->engine().spawn(run_read(shared_from_this(), std::move(reads), priority));
}

http::Task<void> Blob::run_read(std::shared_ptr<Blob> self, std::vector<RangeRead> reads, Priority priority) {
  RangeFill fill(std::move(reads));
  std::optional<Error> failure;
  try {
    const Purpose purpose{priority, self->reading_, self->reads_};
    co_await self->fill(fill, purpose);
  } catch (const Error& error) {
    failure = error.within(fmt::format("reading {} bytes {}", self->name(), to_string(fill.range())));
  }
  if (failure) fill.fail(*failure);
}

void Blob::fail_pending(const Error& reason) {
  repository_->engine().spawn(run_abort(shared_from_this(), reason));
}
void Blob::resume() {
  repository_->engine().spawn(run_abort(shared_from_this(), std::nullopt));
}

void Blob::set_reading(const RetrySettings& reading) {
  repository_->engine().spawn(run_set_reading(shared_from_this(), reading));
}

void Blob::set_credentials(std::optional<Credentials> credentials) {
  Repository::set_credentials(repository_, std::move(credentials));
}

http::Task<void> Blob::run_set_reading(std::shared_ptr<Blob> self, RetrySettings reading) {
  self->reading_ = reading;
  co_return;
}

http::Task<void> Blob::run_abort(std::shared_ptr<Blob> self, std::optional<Error> reason) {
  if (reason) {
    self->repository_->engine().abort(self->reads_, *reason);
  } else {
    self->repository_->engine().readmit(self->reads_);
  }
  co_return;
}

http::Task<void> Blob::fill(RangeFill& fill, const Purpose& purpose) {
  if (whole_) fill.put(0, as_bytes(*whole_));
  Retry retry(purpose.retry);
  while (!fill.complete()) {
    const uint64_t before = fill.missing_bytes();
    std::optional<Failure> failure;
    try {
      failure = co_await ask(fill, purpose, retry);
    } catch (const Error& error) {
      failure = Failure{error, std::nullopt};
    }
    const uint64_t came = before - fill.missing_bytes();
    if (fill.complete()) break;
    if (came >= kUsefulBytes) retry.progressed();
    if (came >= kUsefulBytes && !failure)
      continue;  // the server chose to send less: ask for the rest at once
    if (!failure) {
      failure =
          Failure{make_error(ErrorKind::unavailable, "the registry sent {} of {} bytes", came, before), {}};
    }
    co_await repository_->engine().sleep_for(retry.delay_after(*failure), &purpose.group);
  }
}

// One try. What arrives goes into `fill`, whatever the outcome; no Failure: a good answer, if perhaps a short
// one.
http::Task<std::optional<Failure>> Blob::ask(RangeFill& fill, const Purpose& purpose, Retry& retry) {
  RangeSink sink(fill, fill.next(), size_bytes(), counters_);
  Get get;
  get.path = path_;
  get.range = fill.next();
  get.sink = &sink;
  get.priority = purpose.priority;
  get.limits = retry.within_deadline(repository_->settings().limits);
  get.group = &purpose.group;
  get.counters = &counters_;
  const Answer answer = co_await this->get(get);
  if (!answer.response.ok()) co_return failure_of(answer.response);
  whole_came_ = sink.whole_came();
  if (!whole_came_) warmed_up_ = false;
  if (!sink.must_skip_too_much()) co_return std::nullopt;
  if (warmed_up_) throw Error(ErrorKind::unsupported, "the registry ignores ranges");
  co_await warm_up(purpose.group);
  retry.progressed();
  co_return Failure{Error(ErrorKind::unavailable, "the registry sent the whole blob instead of a range"), {}};
}

// Goes where a redirect led last, and back to the registry when that URL is no longer good.
http::Task<Answer> Blob::get(Get& get) {
  if (distrusted_.exchange(false)) location_.clear();
  if (location_.empty()) co_return co_await get_from_registry(get);
  get.location = location_;
  try {
    Answer answer = co_await repository_->get(get);
    if (!is_stale(answer.response.status)) co_return answer;
  } catch (...) {
    forget_location(get.location);
    throw;
  }
  forget_location(get.location);
  co_return co_await get_from_registry(get);
}

http::Task<Answer> Blob::get_from_registry(Get& get) {
  get.location.clear();
  Answer answer = co_await repository_->get(get);
  // Layers that must not be distributed are elsewhere (OCI image-spec, descriptor.md, urls).
  for (const std::string& url : descriptor_.urls) {
    if (answer.response.status != 404) break;
    if (!http::is_https(url) && !repository_->settings().insecure) continue;
    get.location = url;
    answer = co_await repository_->get(get);
  }
  if (answer.response.ok()) location_ = answer.location;
  co_return answer;
}

void Blob::forget_location(const std::string& location) {
  if (location_ == location) location_.clear();  // else another read has a newer one already
}

http::Task<void> Blob::warm_up(const http::AbortGroup& group) {
  if (!warming_) {
    warming_ = std::make_shared<http::Flight>(repository_->engine());
    repository_->engine().spawn(run_warm_up(shared_from_this(), warming_, group));
  }
  const std::shared_ptr<http::Flight> flight = warming_;
  co_await flight->wait(&group);
}

http::Task<void> Blob::run_warm_up(std::shared_ptr<Blob> self, std::shared_ptr<http::Flight> flight,
                                   const http::AbortGroup& group) {
  std::optional<Error> failure;
  try {
    co_await self->take_to_nowhere(group);
    self->warmed_up_ = true;
  } catch (const Error& error) {
    failure = error;
  }
  self->warming_.reset();
  flight->land(std::move(failure));
}

http::Task<void> Blob::take_to_nowhere(const http::AbortGroup& group) {
  NowhereSink sink(size_bytes(), counters_);
  Get get;
  get.path = path_;
  get.sink = &sink;
  get.limits = repository_->settings().limits;
  get.group = &group;
  get.counters = &counters_;
  const Answer answer = co_await this->get(get);
  if (!answer.response.ok()) throw failure_of(answer.response).error;
}

}  // namespace erofs_oci::registry
