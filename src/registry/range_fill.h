// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "base/byte_range.h"
#include "base/bytes.h"
#include "base/range_reader.h"
#include "http/request.h"
#include "registry/host_client.h"

namespace erofs_oci::registry {

/// More than this is not skipped to reach the wanted part of a whole body.
constexpr uint64_t kMaxSkippedBytes = 4 * kMiB;

/// Buffers that are filled with the bytes of neighbouring ranges, from pieces that come in any order and may
/// lie partly outside. Keeps what came when a transfer breaks. One thread at a time.
class RangeFill {
 public:
  /// `out` has the length of `range`, which is not empty.
  RangeFill(ByteRange range, MutableBytes out);
  /// As RangeReader::read_neighbours() has them.
  explicit RangeFill(std::vector<RangeRead> reads);

  /// The ranges together.
  ByteRange range() const { return range_; }
  /// Takes those bytes of `piece`, which begins at `offset`, that lie in the ranges, and tells those reads,
  /// in their order, that have all of theirs. What was told is not touched again.
  void put(uint64_t offset, Bytes piece);
  /// Tells the reads that were not told yet.
  void fail(const Error& error);

  bool complete() const { return missing_.empty(); }
  /// The first part that is missing; not for a complete one.
  ByteRange next() const { return missing_.front(); }
  uint64_t missing_bytes() const;

 private:
  void remove_from_missing(ByteRange came);
  void tell_complete();

  std::vector<RangeRead> reads_;
  const ByteRange range_;
  size_t told_ = 0;                 // of reads_
  std::vector<ByteRange> missing_;  // sorted, apart from each other
};

/// Puts the body of an answer to a range request where it belongs, whichever range the server chose to send.
class RangeSink final : public http::BodySink {
 public:
  /// `asked` is the range of the request; `size_bytes` that of the whole object.
  RangeSink(RangeFill& fill, ByteRange asked, uint64_t size_bytes, TrafficCounters& counters)
      : fill_(fill), asked_(asked), size_bytes_(size_bytes), counters_(counters) {}

  /// Error corrupt: the object has another size, or the answer is no range that overlaps the one asked for.
  void begin(const http::ResponseHead& head) override;
  bool write(Bytes piece) override;

  /// The server sent the whole object instead of a range.
  bool whole_came() const { return whole_came_; }
  /// … and the wanted part lies so deep in it that the transfer was ended instead.
  bool must_skip_too_much() const { return whole_came_ && asked_.offset > kMaxSkippedBytes; }

 private:
  void begin_whole(const http::ResponseHead& head);

  RangeFill& fill_;
  const ByteRange asked_;
  const uint64_t size_bytes_;
  TrafficCounters& counters_;
  uint64_t position_ = 0;  // of the next byte of the body, in the object
  uint64_t end_ = 0;       // of the body, in the object
  bool whole_came_ = false;
};

}  // namespace erofs_oci::registry
