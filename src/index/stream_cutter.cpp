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

/// Cut between frames: the only places where zstd data can be entered.
class ZstdCutter : public StreamCutter, ZstdFrameReader::Sink {
 public:
  ZstdCutter(uint64_t span_size, CutSink& sink) : span_size_(span_size), sink_(sink), reader_(*this) {}

  void feed(Bytes stored) override { reader_.feed(stored); }
  void finish() override { reader_.finish(); }

 private:
  void output(Bytes bytes) override { sink_.output(bytes); }
  void begin_frame(uint64_t in, uint64_t out) override {
    if (any_ && out - span_begin_ < span_size_) return;
    any_ = true;
    span_begin_ = out;
    sink_.begin_span(in, out, 0);
  }

  const uint64_t span_size_;
  CutSink& sink_;
  ZstdFrameReader reader_;
  uint64_t span_begin_ = 0;
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
