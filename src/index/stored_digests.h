// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include "base/byte_range.h"
#include "base/bytes.h"
#include "base/digest.h"

namespace erofs_oci {

/// The SHA-256 of what each span of a blob that goes by is decoded from: its stored bytes, then its window as it is kept.
/// Spans may share a byte, and are found a little later than they begin. One thread at a time.
class StoredDigests {
 public:
  /// So far a span may begin before the piece in which it is found.
  static constexpr size_t kSlack = 16;

  /// The next bytes of the blob, which stay at hand until done().
  void show(Bytes piece) { piece_ = piece; }
  void done();
  /// The window of the latest span, of which there is one.
  void set_window(std::vector<std::byte> window) { latest_->window = std::move(window); }
  /// A span begins at blob byte `begin`, and the one before it, if any, ended at `end`; the digest of that one.
  std::optional<Digest> begin_span(uint64_t begin, uint64_t end);
  /// The latest span has output: it is one.
  void confirm() { former_.reset(); }
  /// The blob is over; the digest of its last span, to whose stored bytes belongs what came behind it without output. None
  /// where there is no span.
  std::optional<Digest> finish();

 private:
  /// A span whose end has not come by.
  struct Open {
    Sha256 hash;
    uint64_t hashed;  // blob bytes, up to here
    std::vector<std::byte> window;
  };

  void update(Open& span, uint64_t end) const;
  void update_all(uint64_t end);

  uint64_t piece_begin_ = 0;
  Bytes piece_;
  std::vector<std::byte> tail_;  // what lies before the piece
  std::optional<Open> latest_;
  std::optional<Open> former_;  // goes on where the latest turns out to be none
};

}  // namespace erofs_oci
