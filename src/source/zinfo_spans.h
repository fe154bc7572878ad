// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "gzip/zinfo.h"
#include "source/span_table.h"
#include "source/window_checks.h"

namespace erofs_oci {

/// A gzip blob cut at the checkpoints of a zinfo, whose windows are compared with the layer as spans are
/// decoded.
class ZinfoSpans : public SpanTable {
 public:
  /// Spans need memory for their output and their stored bytes at the same time; larger ones are refused.
  static constexpr uint64_t kMaxSpanMemory = 32 * kMiB;
  /// An archive may end without its last block's padding; so much is filled with zeros, as tar defines it.
  static constexpr uint64_t kPadding = 511;

  /// The first `stream_size` bytes of the stream. Throws Error corrupt where that ends before the last checkpoint,
  /// unsupported where a span is too large to be read by itself.
  ZinfoSpans(Zinfo zinfo, uint64_t stream_size);

  uint64_t stream_size() const override { return stream_size_; }
  size_t span_count() const override { return span_count_; }
  size_t find(uint64_t offset) const override;
  ByteRange output(size_t span) const override;
  ByteRange stored(size_t span) const override { return zinfo_.compressed_range(span); }
  bool is_identity() const override { return false; }
  void decode(size_t span, Bytes stored, MutableBytes out) const override;
  void check_kept(size_t span, Bytes out) const override { windows_.check_end(zinfo_, span, out); }
  std::optional<Error> damage(size_t span) const override { return windows_.damage(span); }

 private:
  void check_start(size_t span, Bytes stored, Bytes out) const;

  Zinfo zinfo_;
  uint64_t stream_size_;
  size_t span_count_;
  mutable WindowChecks windows_;
};

/// The uncompressed size of the blob that `zinfo` describes, found by inflating its last span, whose bytes
/// zinfo.compressed_range() `stored` holds. Throws Error corrupt.
uint64_t measure_stream(const Zinfo& zinfo, Bytes stored);

}  // namespace erofs_oci
