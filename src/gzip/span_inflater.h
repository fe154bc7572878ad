// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

#include "base/bytes.h"
#include "gzip/zinfo.h"

struct inflate_state;

namespace erofs_oci {

/// Inflates gzip data from a checkpoint with ISA-L, over the ends of members. One thread at a time; about 90 KiB, so
/// keep one a thread and start it again.
class SpanInflater {
 public:
  SpanInflater();
  ~SpanInflater();

  /// Starts at `checkpoint`; `compressed` begins with the byte that holds the checkpoint's spare bits, if it has any,
  /// and stays valid during read(). `window` is the output before it, kWindowSize bytes.
  void start(const Checkpoint& checkpoint, Bytes window, Bytes compressed);

  /// Inflates up to out.size() bytes; fewer only where `compressed` has no more.
  /// Throws Error corrupt for data that is not deflate or gzip.
  size_t read(MutableBytes out);

 private:
  bool next_member();
  size_t inflate_some(MutableBytes out);
  Bytes unread() const;

  std::unique_ptr<inflate_state> state_;
  Bytes input_;
  bool in_member_ = false;
};

/// The length of the gzip member header at the start of `data` (RFC 1952, 2.3); 0 where `data` ends inside it.
/// Throws Error corrupt where there is none.
size_t gzip_header_length(Bytes data);

}  // namespace erofs_oci
