// SPDX-License-Identifier: Apache-2.0
#include "registry/blob.h"

#include <array>
#include <cassert>
#include <span>

#include "base/text.h"

namespace erofs_oci::registry {
namespace {

// Fewer bytes in one answer count as a failed try: a server that sends a byte at a time must not keep a read
// for ever.
constexpr uint64_t kUsefulBytes = 4096;

std::string name_of(const Descriptor& descriptor, const Repository& repository) {
  return fmt::format("layer sha256:{}… of {}", descriptor.digest.hex().substr(0, 12), repository.name());
}

// A signed URL that has expired or lost its object; a busy server is none.
bool is_stale(int status) {
  return status >= 400 && status < 500 && status != 408 && status != 416 && status != 429;
}

}  // namespace

Blob::Blob(std::shared_ptr<Repository> repository, Descriptor descriptor, RetrySettings reading)
    : repository_(std::move(repository)),
      descriptor_(std::move(descriptor)),
      reading_(reading),
      name_(name_of(descriptor_, *repository_)) {}

http::Task<std::shared_ptr<Blob>> Blob::open(std::shared_ptr<Repository> repository, Descriptor descriptor,
                                             RetrySettings reading) {
  const std::shared_ptr<Blob> blob(new Blob(std::move(repository), std::move(descriptor), reading));
  try {
    co_await blob->probe();
  } catch (const Error& error) {
    throw error.within("opening " + blob->name());
  }
  co_return blob;
}

http::Task<void> Blob::probe() {
  if (size_bytes() == 0) co_return;
  std::array<std::byte, 1> first{};
  RangeFill first_byte({0, 1}, first);
  co_await fill(first_byte, Priority::foreground, repository_->settings().retry);
  if (!range_was_ignored_) co_return;
  if (size_bytes() > kMaxWholeBlob) {
    throw make_error(ErrorKind::unsupported,
                     "the registry ignores ranges, and the blob with {} is too large to be kept whole",
                     human_size(size_bytes()));
  }
  co_await take_whole();
}

http::Task<void> Blob::take_whole() {
  std::string content(size_bytes(), '\0');
  RangeFill all({0, size_bytes()}, std::as_writable_bytes(std::span(content)));
  co_await fill(all, Priority::foreground, repository_->settings().retry);
  verify(descriptor_, content, "its content");
  whole_ = std::move(content);
}

void Blob::read(ByteRange range, MutableBytes out, Priority priority, RangeDone done) {
  assert(!range.empty() && range.length == out.size() && range.fits_in(size_bytes()));
  repository_->engine().spawn(run_read(shared_from_this(), range, out, priority, std::move(done)));
}

http::Task<void> Blob::run_read(std::shared_ptr<Blob> self, ByteRange range, MutableBytes out,
                                Priority priority, RangeDone done) {
  std::optional<Error> failure;
  try {
    RangeFill fill(range, out);
    co_await self->fill(fill, priority, self->reading_);
  } catch (const Error& error) {
    failure = error.within(fmt::format("reading {} bytes {}", self->name(), to_string(range)));
  }
  done(std::move(failure));
}

http::Task<void> Blob::fill(RangeFill& fill, Priority priority, const RetrySettings& settings) {
  if (whole_) fill.put(0, as_bytes(*whole_));
  Retry retry(settings);
  while (!fill.complete()) {
    const uint64_t before = fill.missing_bytes();
    std::optional<Failure> failure;
    try {
      failure = co_await ask(fill, priority, retry);
    } catch (const Error& error) {
      failure = Failure{error, std::nullopt};
    }
    if (fill.complete()) break;
    const bool moved = before - fill.missing_bytes() >= kUsefulBytes;
    if (moved) retry.progressed();
    if (moved && !failure) continue;  // the server chose to send less: ask for the rest at once
    if (!failure) {
      failure = Failure{make_error(ErrorKind::unavailable, "the registry sent {} of {} bytes asked for",
                                   before - fill.missing_bytes(), before),
                        std::nullopt};
    }
    co_await repository_->engine().sleep_for(retry.delay_after(*failure), &group_);
  }
}

// One try. Bytes that arrive are in `fill` whatever the outcome; nothing: the answer was as good as the
// server makes it.
http::Task<std::optional<Failure>> Blob::ask(RangeFill& fill, Priority priority, const Retry& retry) {
  RangeSink sink(fill, fill.next(), size_bytes(), counters_);
  Get get;
  get.path = "blobs/" + to_string(descriptor_.digest);
  get.range = fill.next();
  get.sink = &sink;
  get.priority = priority;
  get.limits = retry.within_deadline(repository_->settings().limits);
  get.group = &group_;
  get.counters = &counters_;
  const Answer answer = co_await this->get(get);
  range_was_ignored_ = sink.range_was_ignored();
  if (!answer.response.ok()) co_return failure_of(answer.response);
  if (range_was_ignored_ && get.range->offset > kMaxSkippedBytes) {
    co_return Failure{
        make_error(ErrorKind::unavailable, "the registry sent the whole blob where bytes {} were asked for",
                   to_string(*get.range)),
        std::nullopt};
  }
  co_return std::nullopt;
}

// Goes where the registry last redirected to, and back to the registry when that URL is no longer good.
http::Task<Answer> Blob::get(Get& get) {
  if (!location_.empty()) {
    get.location = location_;
    try {
      Answer answer = co_await repository_->get(get);
      if (!is_stale(answer.response.status)) co_return answer;
    } catch (...) {
      forget_location(get.location);
      throw;
    }
    forget_location(get.location);
    get.location.clear();
  }
  Answer answer = co_await repository_->get(get);
  if (answer.response.ok()) location_ = answer.location;
  co_return answer;
}

void Blob::forget_location(const std::string& location) {
  if (location_ == location) location_.clear();  // else another read has a newer one already
}

void Blob::fail_pending(const Error& reason) {
  repository_->engine().spawn(set_aborted(shared_from_this(), reason));
}
void Blob::resume() {
  repository_->engine().spawn(set_aborted(shared_from_this(), std::nullopt));
}

http::Task<void> Blob::set_aborted(std::shared_ptr<Blob> self, std::optional<Error> reason) {
  if (reason) {
    self->repository_->engine().abort(self->group_, *reason);
  } else {
    self->repository_->engine().readmit(self->group_);
  }
  co_return;
}

}  // namespace erofs_oci::registry
