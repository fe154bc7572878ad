// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/mutex.h"
#include "source/mapped_device.h"

namespace erofs_oci {

/// How long reads wait for a source that is away.
struct Patience {
  std::optional<std::chrono::milliseconds> deadline;  ///< of each read, from its arrival; none: for ever
  std::chrono::milliseconds first_delay{500};         ///< until the source is tried again; doubled each time
  std::chrono::milliseconds longest_delay = std::chrono::seconds(15);
};

/// What a PatientDevice needs of those around it. All are called on any thread, without a lock held.
struct PatientDeviceHooks {
  /// Calls a function once, so much later, on a thread on which it may begin reads.
  std::function<void(std::chrono::milliseconds, std::function<void()>)> after;
  /// Fails what is being fetched now: it would hold memory that others need.
  std::function<void()> interrupt;
  /// The source went away (why), or is back (none).
  std::function<void(const std::optional<Error>& why)> on_change;
};

/// A MappedDevice whose reads outwait a source that is away: what finds it so waits here, in the order of arrival, and
/// holds no memory meanwhile, so that one registry that is away leaves the rest to everybody else. One of those who wait
/// tries the source now and then; when it is served, all go on. What memory and disk hold is answered all the time.
/// Thread-safe; always owned by a shared_ptr.
class PatientDevice : public BlockDevice, public std::enable_shared_from_this<PatientDevice> {
 public:
  /// The longest wait of a read while its mount is to be unmounted.
  static constexpr std::chrono::seconds kHurriedDeadline{3};

  PatientDevice(std::shared_ptr<MappedDevice> device, Patience patience, PatientDeviceHooks hooks);
  ~PatientDevice() override;

  uint64_t size_bytes() const override { return device_->size_bytes(); }
  uint32_t block_size() const override { return device_->block_size(); }
  void read(ByteRange range, ReadDone done) override {
    read_or_wait(range, Clock::now(), std::move(done), [] {});
  }
  void read_or_wait(ByteRange range, ReadArrival arrived, ReadDone done, ReadWaits waits) override;

  /// For the reads that wait now, too.
  void set_patience(const Patience& patience) EXCLUDES(mutex_);
  /// Begins a time in which no read waits longer than kHurriedDeadline, and none at all for a source that is known to be
  /// away: umount(2) would hang on it. As many calls of end_hurry() end it. Returns how many reads wait.
  size_t hurry() EXCLUDES(mutex_);
  void end_hurry() EXCLUDES(mutex_);
  /// Fails what waits and what is to come, for good.
  void close(const Error& reason) EXCLUDES(mutex_);

 private:
  using Clock = std::chrono::steady_clock;
  struct Read;
  using ReadPtr = std::shared_ptr<Read>;
  using Reads = std::list<ReadPtr>;

  void start(const ReadPtr& read);
  void arrived(const ReadPtr& read, ReadResult result) EXCLUDES(mutex_);
  void stay_away(const ReadPtr& read, const Error& error) EXCLUDES(mutex_);
  void source_answered() EXCLUDES(mutex_);
  void start_later(Reads reads);
  bool take_part(const ReadPtr& read) EXCLUDES(mutex_);
  void keep(const ReadPtr& read) REQUIRES(mutex_);
  bool finish(const ReadPtr& read) REQUIRES(mutex_);
  std::optional<Clock::time_point> due(const Read& read) const REQUIRES(mutex_);
  void tick() EXCLUDES(mutex_);
  void schedule() EXCLUDES(mutex_);
  void fail(const Reads& reads, const Error& reason) const;

  const std::shared_ptr<MappedDevice> device_;
  const PatientDeviceHooks hooks_;

  Mutex mutex_;
  const Clock::time_point begin_ = Clock::now();
  Patience patience_ GUARDED_BY(mutex_);
  std::optional<Error> away_ GUARDED_BY(mutex_);    // why; while set, only a probe asks the source
  std::optional<Error> closed_ GUARDED_BY(mutex_);
  unsigned hurries_ GUARDED_BY(mutex_) = 0;
  Reads reads_ GUARDED_BY(mutex_);  // not answered, by arrival
  ReadPtr probe_ GUARDED_BY(mutex_);
  unsigned failed_probes_ GUARDED_BY(mutex_) = 0;
  Clock::time_point next_probe_ GUARDED_BY(mutex_);
  std::optional<Clock::time_point> alarm_ GUARDED_BY(mutex_);  // the earliest tick that was asked for
  std::atomic<bool> calm_{true};  // neither away nor closed: the way of nearly all reads, without the lock
};

}  // namespace erofs_oci
