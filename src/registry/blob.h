// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/range_reader.h"
#include "http/engine.h"
#include "registry/range_fill.h"
#include "registry/repository.h"

namespace erofs_oci::registry {

/// Blobs up to this size are taken whole into memory where the registry ignores ranges.
constexpr uint64_t kMaxWholeBlob = 16 * kMiB;

/// A blob of a registry, read by ranges over HTTP. Thread-safe; must not outlive the engine.
///
/// A read goes on through broken transfers, busy servers, expired tokens and signed URLs, and keeps what
/// arrived, until for RetrySettings::deadline nothing useful has come. Its bytes are not verified: only
/// whoever knows digests of parts can.
///
/// Reads hold the blob: dropping the last pointer of one's own does not end them, fail_pending() does.
class Blob final : public RangeReader, public std::enable_shared_from_this<Blob> {
 public:
  /// Makes sure that the blob is there, has the descriptor's size and can be read by ranges; retries as the
  /// repository's settings say. Error corrupt: another size; unsupported: the registry ignores ranges and the
  /// blob is larger than kMaxWholeBlob; not_found, denied, unavailable. `reading` is for the reads.
  static http::Task<std::shared_ptr<Blob>> open(std::shared_ptr<Repository> repository, Descriptor descriptor,
                                                RetrySettings reading);

  uint64_t size_bytes() const override { return descriptor_.size_bytes; }
  std::string name() const override { return name_; }
  void read(ByteRange range, MutableBytes out, Priority priority, RangeDone done) override;

  /// Fails the reads that wait now, and those to come, with `reason`, until resume(): an unmount must not
  /// wait for a registry that is away. `done` of the former may be called after this has returned.
  void fail_pending(const Error& reason);
  void resume();

  const Descriptor& descriptor() const { return descriptor_; }
  const TrafficCounters& counters() const { return counters_; }

 private:
  Blob(std::shared_ptr<Repository> repository, Descriptor descriptor, RetrySettings reading);

  http::Task<void> probe();
  http::Task<void> take_whole();
  static http::Task<void> run_read(std::shared_ptr<Blob> self, ByteRange range, MutableBytes out,
                                   Priority priority, RangeDone done);
  http::Task<void> fill(RangeFill& fill, Priority priority, const RetrySettings& settings);
  http::Task<std::optional<Failure>> ask(RangeFill& fill, Priority priority, const Retry& retry);
  http::Task<Answer> get(Get& get);
  void forget_location(const std::string& location);
  static http::Task<void> set_aborted(std::shared_ptr<Blob> self, std::optional<Error> reason);

  const std::shared_ptr<Repository> repository_;  // shared with the other blobs of the image
  const Descriptor descriptor_;
  const RetrySettings reading_;
  const std::string name_;
  TrafficCounters counters_;

  // Belong to the transfer thread.
  http::AbortGroup group_;
  std::string location_;            // where the registry last redirected to; a signed URL, good until refused
  bool range_was_ignored_ = false;  // by the last answer
  std::optional<std::string> whole_;
};

}  // namespace erofs_oci::registry
