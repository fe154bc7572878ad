// SPDX-License-Identifier: Apache-2.0
#include "source/indexed_spans.h"

#include <algorithm>
#include <array>

#include "base/crc64.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "gzip/span_inflater.h"
#include "zstd/block.h"
#include "zstd/frame_reader.h"

namespace erofs_oci {
namespace {

class ZstdGroupDecoder : public GroupDecoder, ZstdFrameReader::Sink {
 public:
  ZstdGroupDecoder() : reader_(*this) {}

  void feed(Bytes stored, const std::function<void(Bytes)>& output) override {
    output_ = &output;
    reader_.feed(stored);
  }

 private:
  void output(Bytes bytes) override { (*output_)(bytes); }
  void begin_frame(uint64_t, uint64_t) override {}

  ZstdFrameReader reader_;
  const std::function<void(Bytes)>* output_ = nullptr;
};

}  // namespace

IndexedSpans::IndexedSpans(std::shared_ptr<const ImageIndex> index, size_t layer)
    : index_(std::move(index)),
      number_(layer),
      layer_(index_->identity().layers[layer]),
      spans_(index_->spans(layer)) {
  for (size_t span = 0; span < spans_.size(); ++span) {
    const bool has_stored = !is_identity() && group(span).count == 1;  // a group's blob comes piece by piece
    const uint64_t memory = output(span).length + (has_stored ? stored(span).length : 0);
    if (memory <= kMaxSpanMemory) continue;
    throw make_error(ErrorKind::unsupported,
                     "layer {} cannot be read at random: a piece of it takes {} of memory, and {} is the most; "
                     "compress it as gzip, or as zstd with many frames",
                     to_string(layer_.digest), human_size(memory), human_size(kMaxSpanMemory));
  }
}

size_t IndexedSpans::find(uint64_t offset) const {
  const auto behind = std::ranges::upper_bound(spans_, offset, {}, &ScannedSpan::out);
  return static_cast<size_t>(behind - spans_.begin()) - 1;
}

ByteRange IndexedSpans::output(size_t span) const {
  const uint64_t end = span + 1 < spans_.size() ? spans_[span + 1].out : layer_.stream_size;
  return ByteRange::from_to(spans_[span].out, end);
}

ByteRange IndexedSpans::stored(size_t span) const {
  const size_t next = group(span).end();
  const uint64_t end = next < spans_.size() ? spans_[next].in : layer_.blob_size;
  return ByteRange::from_to(spans_[span].in - (spans_[span].bits != 0 ? 1 : 0), end);
}

SpanGroup IndexedSpans::group(size_t span) const {
  const auto first = std::ranges::lower_bound(spans_, spans_[span].in, {}, &ScannedSpan::in);
  const auto end = std::ranges::upper_bound(spans_, spans_[span].in, {}, &ScannedSpan::in);
  return {static_cast<size_t>(first - spans_.begin()), static_cast<size_t>(end - first)};
}

std::unique_ptr<GroupDecoder> IndexedSpans::decode_group(size_t) const {
  return std::make_unique<ZstdGroupDecoder>();
}

void IndexedSpans::decode(size_t span, Bytes stored, MutableBytes out) const {
  switch (layer_.format) {
    case StreamFormat::gzip:
      inflate(span, stored, out);
      break;
    case StreamFormat::zstd:
      decode_zstd(span, stored, out);
      break;
    case StreamFormat::plain:
      std::memcpy(out.data(), stored.data(), out.size());
  }
  verify(span, out);
}

void IndexedSpans::verify(size_t span, Bytes out) const {
  const bool right = layer_.format == StreamFormat::gzip ? crc64(out) == spans_[span].checksum
                                                         : sha256(out) == spans_[span].digest;
  if (right) return;
  throw make_error(ErrorKind::corrupt, "bytes {} of its stream differ from what the index has of them",
                   to_string(output(span)));
}

void IndexedSpans::decode_zstd(size_t span, Bytes stored, MutableBytes out) const {
  const SpanGroup together = group(span);
  if (together.count == 1) return zstd_decompress(stored, out);
  const ByteRange wanted{output(span).offset - output(together.first).offset, out.size()};
  uint64_t at = 0;
  ZstdGroupDecoder().feed(stored, [&](Bytes bytes) {
    const ByteRange part = ByteRange{at, bytes.size()}.intersect(wanted);
    if (!part.empty())
      std::memcpy(out.data() + (part.offset - wanted.offset), bytes.data() + (part.offset - at), part.length);
    at += bytes.size();
  });
  if (at < wanted.end()) {
    throw make_error(ErrorKind::corrupt, "zstd data decompresses to {} bytes where {} or more must be", at,
                     wanted.end());
  }
}

void IndexedSpans::verify_stored(size_t span, Bytes stored, Bytes window) const {
  Sha256 hash;
  hash.update(stored);
  hash.update(window);
  if (hash.finish() == spans_[span].digest) return;
  throw make_error(ErrorKind::corrupt,
                   "its bytes {}, or the window that {} has for them, differ from the digest that the index has of them",
                   to_string(this->stored(span)), index_->name());
}

void IndexedSpans::inflate(size_t span, Bytes stored, MutableBytes out) const {
  const ScannedSpan& from = spans_[span];
  std::vector<std::byte> compressed(from.window_size);
  const ImageIndex::Part& windows = index_->windows(number_);
  pread_exactly(index_->file(), windows.offset + from.window_offset, compressed, index_->name());
  verify_stored(span, stored, compressed);
  std::array<std::byte, kWindowSize> window{};
  if (!compressed.empty()) zstd_decompress(compressed, window);
  thread_local SpanInflater inflater;  // its tables are too large to set up for every span
  inflater.start({.in = from.in, .out = from.out, .bits = from.bits}, window, stored);
  const size_t length = inflater.read(out);
  if (length != out.size()) {
    throw make_error(ErrorKind::corrupt, "bytes from {} on inflate to {} where the index says {}", from.in, length,
                     out.size());
  }
}

}  // namespace erofs_oci
