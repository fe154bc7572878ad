// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "index/image_index.h"
#include "source/span_table.h"

namespace erofs_oci {

/// A layer cut as its image's index says; every span is compared with its SHA-256: of gzip before it is inflated.
class IndexedSpans : public SpanTable {
 public:
  /// A span that is decoded by itself needs memory for its output and its stored bytes at the same time; a larger one is
  /// refused.
  static constexpr uint64_t kMaxSpanMemory = 32 * kMiB;

  /// `index` is shared with the other layers of the image. Throws Error unsupported where a span is too large
  /// to be read by itself.
  IndexedSpans(std::shared_ptr<const ImageIndex> index, size_t layer);

  uint64_t stream_size() const override { return layer_.stream_size; }
  size_t span_count() const override { return spans_.size(); }
  size_t find(uint64_t offset) const override;
  ByteRange output(size_t span) const override;
  ByteRange stored(size_t span) const override;
  SpanGroup group(size_t span) const override;
  std::unique_ptr<GroupDecoder> decode_group(size_t first) const override;
  bool is_identity() const override { return layer_.format == StreamFormat::plain; }
  void decode(size_t span, Bytes stored, MutableBytes out) const override;
  bool has_digests() const override { return true; }
  void verify(size_t span, Bytes out) const override;

 private:
  void decode_zstd(size_t span, Bytes stored, MutableBytes out) const;
  void inflate(size_t span, Bytes stored, MutableBytes out) const;
  void verify_stored(size_t span, Bytes stored, Bytes window) const;

  const std::shared_ptr<const ImageIndex> index_;
  const size_t number_;
  const IndexedLayer& layer_;
  const std::vector<ScannedSpan>& spans_;
};

}  // namespace erofs_oci
