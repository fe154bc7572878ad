// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "base/byte_range.h"
#include "base/bytes.h"
#include "base/error.h"

namespace erofs_oci {

/// Spans that are decoded together, since their stored bytes can only be entered at the first one's.
struct SpanGroup {
  size_t first = 0;
  size_t count = 1;
  size_t end() const { return first + count; }
};

/// Decodes the stored bytes of a group from their start on. One thread at a time.
class GroupDecoder {
 public:
  virtual ~GroupDecoder() = default;
  /// The next stored bytes; `output` is given what they decode to. Throws Error corrupt, and what `output` throws.
  virtual void feed(Bytes stored, const std::function<void(Bytes)>& output) = 0;
};

/// How a stream (a layer's uncompressed bytes) is cut into spans, each decoded from a range of the stored blob, by
/// itself or with others. Thread-safe.
class SpanTable {
 public:
  virtual ~SpanTable() = default;

  virtual uint64_t stream_size() const = 0;
  virtual size_t span_count() const = 0;
  /// The span that holds stream byte `offset`, which must be less than stream_size().
  virtual size_t find(uint64_t offset) const = 0;
  /// The stream bytes of span `span`; spans are sorted and leave no gap.
  virtual ByteRange output(size_t span) const = 0;
  /// The blob bytes that span `span` is decoded from, or its group; its first is not before the former span's.
  virtual ByteRange stored(size_t span) const = 0;
  /// The spans that are decoded together with span `span`.
  virtual SpanGroup group(size_t span) const { return {span, 1}; }
  /// Of a group of several, by its first span.
  virtual std::unique_ptr<GroupDecoder> decode_group(size_t /*first*/) const { return nullptr; }
  /// Whether stored bytes are output bytes, so that they may be read straight to where they are wanted.
  virtual bool is_identity() const = 0;
  /// Fills `out`, as long as output(span), from `stored`, as long as stored(span).
  /// Throws Error corrupt where the bytes are not those that the table tells of.
  virtual void decode(size_t span, Bytes stored, MutableBytes out) const = 0;
  /// Whether verify() can tell.
  virtual bool has_digests() const { return false; }
  /// For `out`, as long as output(span), that came another way: read straight, or decoded with others. Throws Error corrupt
  /// where it is not what the table tells of.
  virtual void verify(size_t /*span*/, Bytes /*out*/) const {}
  /// Learns from `out`, which was decoded and kept in an earlier life, what decode() would have of other spans.
  /// Throws Error corrupt where that says that it must not be served.
  virtual void check_kept(size_t /*span*/, Bytes /*out*/) const {}
  /// Why span `span` must not be served any more, also where memory holds it: something learned from another
  /// span.
  virtual std::optional<Error> damage(size_t /*span*/) const { return std::nullopt; }
};

}  // namespace erofs_oci
