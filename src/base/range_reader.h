// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/byte_range.h"
#include "base/bytes.h"
#include "base/error.h"

namespace erofs_oci {

/// Whose turn it is where readers compete: a blocked read, then read-ahead, then prefetch.
enum class Priority { foreground, read_ahead, prefetch };

/// nullopt: all bytes are in `out`. Called exactly once, on a thread of the reader's own; must not block or
/// throw.
using RangeDone = std::function<void(std::optional<Error>)>;

/// A read as one of several.
struct RangeRead {
  ByteRange range;
  MutableBytes out;
  RangeDone done;
};

/// A stored object (a registry blob, a local file) read by byte ranges. Thread-safe.
class RangeReader {
 public:
  virtual ~RangeReader() = default;
  virtual uint64_t size_bytes() const = 0;
  /// For messages: "layer sha256:ab… of 127.0.0.1:5000/team/tools".
  virtual std::string name() const = 0;
  /// Fills `out` with the bytes of `range`, which has the same length, is not empty and fits in size_bytes().
  /// `out` stays valid until `done`. Retries what may succeed later until its own deadline, then gives an
  /// Error.
  virtual void read(ByteRange range, MutableBytes out, Priority priority, RangeDone done) = 0;
  /// Reads neighbours: each range begins within the one before, or at its end, and they rise. Each is told by
  /// itself, as soon as its bytes are there. To be overridden where a request costs more than its bytes.
  virtual void read_neighbours(std::vector<RangeRead> reads, Priority priority) {
    for (RangeRead& each : reads) read(each.range, each.out, priority, std::move(each.done));
  }
  /// What came was not what it should be: the next read goes another way, where there is one.
  virtual void distrust() {}
};

}  // namespace erofs_oci
