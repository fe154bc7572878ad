// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/range_reader.h"
#include "http/flight.h"
#include "registry/range_fill.h"
#include "registry/repository.h"

namespace erofs_oci::registry {

/// Blobs up to this size are kept whole in memory where the registry ignores ranges.
constexpr uint64_t kMaxWholeBlob = 16 * kMiB;

/// A blob of a registry, read by ranges over HTTP. Thread-safe; must not outlive the engine.
///
/// A read goes on through broken transfers, busy servers, expired tokens and signed URLs, and keeps what
/// arrived, until for RetrySettings::deadline nothing useful has come. Its bytes are not verified: only
/// whoever knows digests of parts can.
///
/// A pull-through cache that does not have the blob yet may ignore ranges and send all of it. It is then let
/// do so once, into nowhere, after which it should have ranges.
///
/// Reads hold the blob: dropping the last pointer of one's own does not end them, fail_pending() does.
class Blob final : public RangeReader, public std::enable_shared_from_this<Blob> {
 public:
  /// Makes sure that the blob is there, has the descriptor's size and can be read by ranges; retries as the
  /// repository's settings say. `reading` is for the reads. Error corrupt: another size; unsupported: the
  /// registry ignores ranges, also for the second time, and the blob is larger than kMaxWholeBlob; not_found,
  /// denied, unavailable.
  static http::Task<std::shared_ptr<Blob>> open(std::shared_ptr<Repository> repository, Descriptor descriptor,
                                                RetrySettings reading);

  /// A blob that was opened before: the registry is not asked before the first read.
  static std::shared_ptr<Blob> assume(std::shared_ptr<Repository> repository, Descriptor descriptor,
                                      RetrySettings reading) {
    return std::shared_ptr<Blob>(new Blob(std::move(repository), std::move(descriptor), reading));
  }

  uint64_t size_bytes() const override { return descriptor_.size_bytes; }
  std::string name() const override { return name_; }
  void read(ByteRange range, MutableBytes out, Priority priority, RangeDone done) override;
  /// By one request, where the registry answers as it was asked.
  void read_neighbours(std::vector<RangeRead> reads, Priority priority) override;
  void distrust() override { distrusted_ = true; }

  /// Fails the reads that wait now, and those to come, with `reason`, until resume(): an unmount must not
  /// wait for a registry that is away. `done` of the former may be called after this has returned.
  void fail_pending(const Error& reason);
  void resume();

  /// How reads are retried from now on. Thread-safe, as is set_credentials(), which is for the whole repository.
  void set_reading(const RetrySettings& reading);
  void set_credentials(std::optional<Credentials> credentials);

  const Descriptor& descriptor() const { return descriptor_; }
  const TrafficCounters& counters() const { return counters_; }

 private:
  // On whose behalf something is asked for.
  struct Purpose {
    Priority priority;
    const RetrySettings& retry;
    const http::AbortGroup& group;
  };

  Blob(std::shared_ptr<Repository> repository, Descriptor descriptor, RetrySettings reading);

  http::Task<void> probe(const Purpose& purpose);
  http::Task<void> take_whole(const Purpose& purpose);
  static http::Task<void> run_read(std::shared_ptr<Blob> self, std::vector<RangeRead> reads,
                                   Priority priority);
  static http::Task<void> run_abort(std::shared_ptr<Blob> self, std::optional<Error> reason);
  static http::Task<void> run_set_reading(std::shared_ptr<Blob> self, RetrySettings reading);

  http::Task<void> fill(RangeFill& fill, const Purpose& purpose);
  http::Task<std::optional<Failure>> ask(RangeFill& fill, const Purpose& purpose, Retry& retry);
  http::Task<Answer> get(Get& get);
  http::Task<Answer> get_from_registry(Get& get);
  void forget_location(const std::string& location);

  http::Task<void> warm_up(const http::AbortGroup& group);
  static http::Task<void> run_warm_up(std::shared_ptr<Blob> self, std::shared_ptr<http::Flight> flight,
                                      const http::AbortGroup& group);
  http::Task<void> take_to_nowhere(const http::AbortGroup& group);

  const std::shared_ptr<Repository> repository_;  // shared with the other blobs of the image
  const Descriptor descriptor_;
  const std::string path_;  // in the repository
  const std::string name_;
  TrafficCounters counters_;
  std::atomic<bool> distrusted_{false};

  // Belong to the transfer thread.
  RetrySettings reading_;
  http::AbortGroup reads_;
  std::string location_;     // where a redirect led last; a signed URL, good until it is refused or distrusted
  bool whole_came_ = false;  // the last answer was not the range asked for but all of the blob
  bool warmed_up_ = false;   // since the last answer that was a range
  std::optional<std::string> whole_;
  std::shared_ptr<http::Flight> warming_;  // shared with those who wait for it
};

}  // namespace erofs_oci::registry
