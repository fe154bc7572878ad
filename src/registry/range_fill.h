// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "base/byte_range.h"
#include "base/bytes.h"
#include "http/request.h"
#include "registry/host_client.h"

namespace erofs_oci::registry {

/// More than this is not skipped to reach the wanted part of a whole body.
constexpr uint64_t kMaxSkippedBytes = 4 * kMiB;

/// A buffer that is filled with the bytes of one range, from pieces that come in any order and may lie partly
/// outside. Keeps what came when a transfer breaks. One thread at a time.
class RangeFill {
 public:
  /// `out` has the length of `range`, which is not empty.
  RangeFill(ByteRange range, MutableBytes out) : range_(range), out_(out), missing_{range} {}

  /// Takes those bytes of `piece`, which begins at `offset`, that lie in the range.
  void put(uint64_t offset, Bytes piece);

  bool complete() const { return missing_.empty(); }
  /// The first part that is missing; not for a complete one.
  ByteRange next() const { return missing_.front(); }
  uint64_t missing_bytes() const;

 private:
  const ByteRange range_;
  const MutableBytes out_;
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
