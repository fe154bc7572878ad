// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "source/span_table.h"

namespace erofs_oci {

/// A stream stored as it is (a plain tar, an EROFS blob), cut into pieces of 1 MiB.
class PlainSpans : public SpanTable {
 public:
  static constexpr uint64_t kSpanSize = kMiB;

  /// The first `stream_size` bytes of a blob of at least that size.
  explicit PlainSpans(uint64_t stream_size) : stream_size_(stream_size) {}

  uint64_t stream_size() const override { return stream_size_; }
  size_t span_count() const override { return static_cast<size_t>((stream_size_ + kSpanSize - 1) / kSpanSize); }
  size_t find(uint64_t offset) const override { return static_cast<size_t>(offset / kSpanSize); }
  ByteRange output(size_t span) const override {
    return ByteRange{span * kSpanSize, kSpanSize}.intersect({0, stream_size_});
  }
  ByteRange stored(size_t span) const override { return output(span); }
  bool is_identity() const override { return true; }
  void decode(size_t, Bytes stored, MutableBytes out) const override {
    std::memcpy(out.data(), stored.data(), out.size());
  }

 private:
  uint64_t stream_size_;
};

}  // namespace erofs_oci
