// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "gzip/checkpoint_inflater.h"
#include "index/layer_scan.h"

namespace erofs_oci {

/// Told a stream, cut into spans, in its order.
class CutSink {
 public:
  virtual ~CutSink() = default;
  virtual void output(Bytes bytes) = 0;
  virtual void begin_span(uint64_t in, uint64_t out, uint8_t bits) = 0;
  /// Of gzip only; see CheckpointInflater::Sink.
  virtual void span_start(SpanStart start) = 0;
};

/// Decodes a blob that is pushed through it, and cuts what comes out into spans of about one size.
class StreamCutter {
 public:
  virtual ~StreamCutter() = default;
  virtual void feed(Bytes stored) = 0;
  virtual void finish() = 0;
};

/// `sink` must outlive the cutter.
std::unique_ptr<StreamCutter> make_cutter(StreamFormat format, uint64_t span_size, CutSink& sink);

}  // namespace erofs_oci
