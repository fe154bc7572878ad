// SPDX-License-Identifier: Apache-2.0
#include "zstd/frame_reader.h"

#include <zstd.h>
#include <zstd_errors.h>

#include <new>

#include "base/error.h"

namespace erofs_oci {

void ZstdFrameReader::Free::operator()(ZSTD_DCtx_s* context) const {
  ZSTD_freeDCtx(context);
}

ZstdFrameReader::ZstdFrameReader(Sink& sink)
    : sink_(sink), context_(ZSTD_createDCtx()), buffer_(ZSTD_DStreamOutSize()) {
  if (!context_) throw std::bad_alloc();
  ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kMaxWindowLog);
}

ZstdFrameReader::~ZstdFrameReader() = default;

void ZstdFrameReader::feed(Bytes compressed) {
  ZSTD_inBuffer in{compressed.data(), compressed.size(), 0};
  for (bool flushed = true; in.pos < in.size || !flushed;) {
    if (!in_frame_) {
      sink_.begin_frame(in_ + in.pos, out_);
      in_frame_ = true;
    }
    ZSTD_outBuffer out{buffer_.data(), buffer_.size(), 0};
    const size_t left = ZSTD_decompressStream(context_.get(), &out, &in);
    if (ZSTD_isError(left)) {
      const bool window = ZSTD_getErrorCode(left) == ZSTD_error_frameParameter_windowTooLarge;
      throw make_error(window ? ErrorKind::unsupported : ErrorKind::corrupt,
                       "zstd data cannot be decompressed at byte {}: {}", in_ + in.pos,
                       ZSTD_getErrorName(left));
    }
    out_ += out.pos;
    if (out.pos != 0) sink_.output(Bytes(buffer_).first(out.pos));
    in_frame_ = left != 0;
    flushed = !in_frame_ || out.pos < out.size;
  }
  in_ += compressed.size();
}

void ZstdFrameReader::finish() const {
  if (in_frame_ || in_ == 0) {
    throw make_error(ErrorKind::corrupt, "zstd data ends after {} bytes inside a frame: it is cut short",
                     in_);
  }
}

}  // namespace erofs_oci
