// SPDX-License-Identifier: Apache-2.0
#include "index/stream_cutter.h"

#include <algorithm>

#include "zstd/frame_reader.h"

namespace erofs_oci {
namespace {

/// Cut at multiples of the size.
class PlainCutter : public StreamCutter {
 public:
  PlainCutter(uint64_t span_size, CutSink& sink) : span_size_(span_size), sink_(sink) {}

  void feed(Bytes stored) override {
    while (!stored.empty()) {
      const uint64_t place = offset_ % span_size_;
      if (place == 0) sink_.begin_span(offset_, offset_, 0);
      const Bytes piece = stored.first(std::min<uint64_t>(stored.size(), span_size_ - place));
      sink_.output(piece);
      offset_ += piece.size();
      stored = stored.subspan(piece.size());
    }
  }
  void finish() override {}

 private:
  const uint64_t span_size_;
  CutSink& sink_;
  uint64_t offset_ = 0;
};

/// Cut at ends of deflate blocks.
class GzipCutter : public StreamCutter, CheckpointInflater::Sink {
 public:
  GzipCutter(uint64_t span_size, CutSink& sink) : sink_(sink), inflater_(span_size, *this) {}

  void feed(Bytes stored) override { inflater_.feed(stored); }
  void finish() override { inflater_.finish(); }

 private:
  void output(Bytes bytes) override { sink_.output(bytes); }
  void begin_span(const Checkpoint& at) override { sink_.begin_span(at.in, at.out, at.bits); }
  void span_start(SpanStart start) override { sink_.span_start(std::move(start)); }

  CutSink& sink_;
  CheckpointInflater inflater_;
};

/// Cut between frames: the only places where zstd data can be entered. What is longer before the next of them is cut
/// into pieces that share their entrance, since they are decoded together but cached by themselves.
class ZstdCutter : public StreamCutter, ZstdFrameReader::Sink {
 public:
  ZstdCutter(uint64_t span_size, CutSink& sink)
      : span_size_(span_size), piece_size_(std::max(span_size, kMinPiece)), sink_(sink), reader_(*this) {}

  void feed(Bytes stored) override { reader_.feed(stored); }
  void finish() override { reader_.finish(); }

 private:
  /// A frame of less is one span.
  static constexpr uint64_t kMinPiece = 4 * kMiB;

  void output(Bytes bytes) override {
    while (!bytes.empty()) {
      if (out_ - piece_begin_ == piece_size_) begin_piece();
      const Bytes part = bytes.first(std::min<uint64_t>(bytes.size(), piece_size_ - (out_ - piece_begin_)));
      sink_.output(part);
      out_ += part.size();
      bytes = bytes.subspan(part.size());
    }
  }
  void begin_frame(uint64_t in, uint64_t) override {
    if (any_ && out_ - group_begin_ < span_size_) return;
    any_ = true;
    group_begin_ = out_;
    group_in_ = in;
    begin_piece();
  }
  void begin_piece() {
    piece_begin_ = out_;
    sink_.begin_span(group_in_, out_, 0);
  }

  const uint64_t span_size_;
  const uint64_t piece_size_;
  CutSink& sink_;
  ZstdFrameReader reader_;
  uint64_t out_ = 0;
  uint64_t piece_begin_ = 0;
  uint64_t group_begin_ = 0;
  uint64_t group_in_ = 0;
  bool any_ = false;
};

}  // namespace

std::unique_ptr<StreamCutter> make_cutter(StreamFormat format, uint64_t span_size, CutSink& sink) {
  switch (format) {
    case StreamFormat::gzip:
      return std::make_unique<GzipCutter>(span_size, sink);
    case StreamFormat::zstd:
      return std::make_unique<ZstdCutter>(span_size, sink);
    case StreamFormat::plain:
      break;
  }
  return std::make_unique<PlainCutter>(span_size, sink);
}

}  // namespace erofs_oci
