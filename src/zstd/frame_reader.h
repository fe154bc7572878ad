// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/bytes.h"

struct ZSTD_DCtx_s;

namespace erofs_oci {

/// Decompresses a zstd file of any number of frames from its start to its end, skippable frames included (RFC
/// 8878, 3.1), and tells where each begins, since only there it can be entered. One thread at a time.
class ZstdFrameReader {
 public:
  /// The largest window that a frame may ask for: what `zstd -d` takes without --long.
  static constexpr int kMaxWindowLog = 27;

  class Sink {
   public:
    virtual ~Sink() = default;
    virtual void output(Bytes bytes) = 0;
    /// A frame begins at byte `in` of the file; what follows is the output from `out` on.
    virtual void begin_frame(uint64_t in, uint64_t out) = 0;
  };

  explicit ZstdFrameReader(Sink& sink);
  ~ZstdFrameReader();

  /// The next bytes of the file. Error corrupt for what is not zstd, unsupported for too large a window.
  void feed(Bytes compressed);
  /// The file has no more bytes. Error corrupt where it ends inside a frame.
  void finish() const;

 private:
  struct Free {
    void operator()(ZSTD_DCtx_s* context) const;
  };

  Sink& sink_;
  std::unique_ptr<ZSTD_DCtx_s, Free> context_;
  std::vector<std::byte> buffer_;
  uint64_t in_ = 0;
  uint64_t out_ = 0;
  bool in_frame_ = false;
};

}  // namespace erofs_oci
