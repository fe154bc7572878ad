// SPDX-License-Identifier: Apache-2.0
#include "source/patient_device.h"

#include <algorithm>
#include <utility>

namespace erofs_oci {
namespace {

std::chrono::milliseconds probe_delay(const Patience& patience, unsigned failed) {
  std::chrono::milliseconds delay = patience.first_delay;
  for (unsigned i = 1; i < failed && delay < patience.longest_delay; ++i) delay *= 2;
  return std::min(delay, patience.longest_delay);
}

}  // namespace

/// One that has not been answered. What is not const is guarded by the device's mutex_.
struct PatientDevice::Read {
  Read(ByteRange wanted, ReadArrival arrived, ReadDone when_done, ReadWaits when_waiting)
      : range(wanted), done(std::move(when_done)), waits(std::move(when_waiting)), since(arrived) {}

  const ByteRange range;
  const ReadDone done;
  const ReadWaits waits;
  const ReadArrival since;
  std::optional<Reads::iterator> place;  // in reads_
  bool under_way = true;                 // asked of the device, as opposed to waiting here
  bool answered = false;
};

PatientDevice::PatientDevice(std::shared_ptr<MappedDevice> device, Patience patience, PatientDeviceHooks hooks)
    : device_(std::move(device)), hooks_(std::move(hooks)), patience_(patience) {}

PatientDevice::~PatientDevice() {
  for (const ReadPtr& read : reads_) read->done({ECANCELED, {}, {}});
}

void PatientDevice::read_or_wait(ByteRange range, ReadArrival arrived, ReadDone done, ReadWaits waits) {
  const auto read = std::make_shared<Read>(range, arrived, std::move(done), std::move(waits));
  if (calm_ || device_->is_at_hand(range) || take_part(read)) start(read);
}

/// Whether the read may ask the source; else it waits, or has been failed.
bool PatientDevice::take_part(const ReadPtr& read) {
  std::optional<Error> refusal;
  {
    MutexLock lock(mutex_);
    if (!closed_ && !away_) return true;
    if (closed_ || hurries_ != 0) {
      refusal = closed_ ? *closed_ : *away_;
      read->answered = true;
    } else {
      read->under_way = false;
      keep(read);
    }
  }
  if (refusal) {
    fail({read}, *refusal);
  } else {
    read->waits();
    schedule();
  }
  return false;
}

void PatientDevice::start(const ReadPtr& read) {
  device_->read(read->range, [self = shared_from_this(), read](ReadResult result) {
    self->arrived(read, std::move(result));
  });
  MutexLock lock(mutex_);
  if (read->answered || read->place) return;
  keep(read);
}

void PatientDevice::keep(const ReadPtr& read) {
  if (!read->place) read->place = reads_.insert(reads_.end(), read);
}

/// False where it has been answered already.
bool PatientDevice::finish(const ReadPtr& read) {
  if (std::exchange(read->answered, true)) return false;
  if (read->place) reads_.erase(*std::exchange(read->place, std::nullopt));
  return true;
}

void PatientDevice::arrived(const ReadPtr& read, ReadResult result) {
  if (result.unavailable) return stay_away(read, *result.unavailable);
  bool answer = false;
  bool was_probe = false;
  {
    MutexLock lock(mutex_);
    was_probe = probe_ == read;
    if (was_probe) probe_.reset();
    answer = finish(read);
  }
  if (answer) read->done(std::move(result));
  if (was_probe) source_answered();
}

/// The source is away: the read waits, unless its mount is closed.
void PatientDevice::stay_away(const ReadPtr& read, const Error& error) {
  std::optional<Error> closed;
  bool news = false;
  bool again = false;
  {
    MutexLock lock(mutex_);
    const bool was_probe = probe_ == read;
    if (was_probe) probe_.reset();
    // Interrupted when the source was away, and told of it only now that it is back.
    again = !closed_ && !away_ && error.errno_value() == ECANCELED;
    news = !closed_ && !away_ && !again;
    if (!closed_ && (news || was_probe)) {
      away_ = error;
      calm_ = false;
      next_probe_ = Clock::now() + probe_delay(patience_, ++failed_probes_);
    }
    if (closed_) {
      if (!finish(read)) return;
      closed = closed_;
    } else if (!read->answered) {
      read->under_way = again;
      keep(read);
    }
  }
  if (again) return start_later({read});
  if (closed) return fail({read}, *closed);
  if (news) {
    hooks_.interrupt();
    hooks_.on_change(error);
  }
  read->waits();
  schedule();
}

void PatientDevice::source_answered() {
  Reads waiting;
  {
    MutexLock lock(mutex_);
    if (!away_ || closed_) return;
    away_.reset();
    calm_ = true;
    failed_probes_ = 0;
    for (const ReadPtr& read : reads_) {
      if (std::exchange(read->under_way, true)) continue;
      waiting.push_back(read);
    }
  }
  hooks_.on_change(std::nullopt);
  start_later(std::move(waiting));
}

/// Not at once: whoever tells of a read must not be called back by it.
void PatientDevice::start_later(Reads reads) {
  hooks_.after(std::chrono::milliseconds(0), [weak = weak_from_this(), reads = std::move(reads)] {
    const auto self = weak.lock();
    if (!self) return;
    for (const ReadPtr& read : reads) self->start(read);
  });
}

/// When the read is to be failed. While the source is not known to be away, one that is under way may be moving, and how
/// long that takes is for the source to say; but nobody who unmounts waits for it.
std::optional<PatientDevice::Clock::time_point> PatientDevice::due(const Read& read) const {
  if (hurries_ != 0) return away_ ? read.since : std::max(read.since, begin_) + kHurriedDeadline;
  if (!patience_.deadline || !away_) return std::nullopt;
  return read.since + *patience_.deadline;
}

/// Fails what is due, and has the first of those who wait try the source where it is time to.
void PatientDevice::tick() {
  Reads expired;
  ReadPtr probe;
  std::optional<Error> reason;
  bool news = false;
  {
    MutexLock lock(mutex_);
    const auto now = Clock::now();
    for (auto next = reads_.begin(); next != reads_.end();) {
      const ReadPtr read = *next++;
      const auto time = due(*read);
      if (!time || *time > now) continue;
      finish(read);
      expired.push_back(read);
    }
    if (!expired.empty() && !away_ && !closed_) {
      news = true;
      away_ = Error(ErrorKind::unavailable, ETIMEDOUT, "nothing came from the source while unmounting");
      calm_ = false;
      next_probe_ = now + probe_delay(patience_, ++failed_probes_);
    }
    reason = away_;
    if (away_ && !probe_ && !closed_ && next_probe_ <= now) {
      const auto first =
          std::ranges::find_if(reads_, [](const ReadPtr& read) { return !read->under_way; });
      if (first != reads_.end()) {
        probe = probe_ = *first;
        probe->under_way = true;
      }
    }
  }
  if (!expired.empty() && reason) fail(expired, *reason);
  if (news) {
    hooks_.interrupt();
    hooks_.on_change(reason);
  }
  if (probe) start(probe);
  schedule();
}

/// Asks for a tick when something is due next.
void PatientDevice::schedule() {
  std::chrono::milliseconds delay{};
  Clock::time_point at = Clock::time_point::max();
  {
    MutexLock lock(mutex_);
    for (const ReadPtr& read : reads_) {
      if (const auto time = due(*read)) at = std::min(at, *time);
      if (away_ && !read->under_way && !probe_ && !closed_) at = std::min(at, next_probe_);
    }
    if (at == Clock::time_point::max() || (alarm_ && *alarm_ <= at)) return;
    alarm_ = at;
    delay = std::max(std::chrono::ceil<std::chrono::milliseconds>(at - Clock::now()), std::chrono::milliseconds(0));
  }
  hooks_.after(delay, [weak = weak_from_this(), at] {
    const auto self = weak.lock();
    if (!self) return;
    {
      MutexLock lock(self->mutex_);
      if (self->alarm_ == at) self->alarm_.reset();
    }
    self->tick();
  });
}

void PatientDevice::set_patience(const Patience& patience) {
  {
    MutexLock lock(mutex_);
    patience_ = patience;
  }
  schedule();
}

size_t PatientDevice::hurry() {
  size_t waiting = 0;
  {
    MutexLock lock(mutex_);
    ++hurries_;
    waiting = reads_.size();
  }
  schedule();
  return waiting;
}

void PatientDevice::end_hurry() {
  MutexLock lock(mutex_);
  --hurries_;
}

void PatientDevice::close(const Error& reason) {
  Reads all;
  {
    MutexLock lock(mutex_);
    closed_ = reason;
    calm_ = false;
    all.swap(reads_);
    for (const ReadPtr& read : all) {
      read->place.reset();
      read->answered = true;
    }
  }
  fail(all, reason);
}

void PatientDevice::fail(const Reads& reads, const Error& reason) const {
  for (const ReadPtr& read : reads) {
    device_->note_failure(read->range, reason);
    read->done({reason.errno_value(), {}, {}});
  }
}

}  // namespace erofs_oci
