// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "base/mutex.h"
#include "base/range_reader.h"

namespace erofs_oci {

/// Reads a blob, or a range of it, once from its start to its end, with the next pieces under way meanwhile. One thread at a
/// time; the blob's own threads fill the pieces.
class BlobStream {
 public:
  static constexpr uint64_t kPieceSize = 4 * kMiB;
  static constexpr size_t kPieces = 3;

  explicit BlobStream(RangeReader& blob) : BlobStream(blob, {0, blob.size_bytes()}, kPieceSize, Priority::prefetch) {}
  /// `range` must fit in the blob.
  BlobStream(RangeReader& blob, ByteRange range, uint64_t piece_size, Priority priority);
  /// Waits for what is under way.
  ~BlobStream();
  BlobStream(const BlobStream&) = delete;
  BlobStream& operator=(const BlobStream&) = delete;

  /// The next piece, valid until the next call; empty at the end. Throws the Error that reading it ended
  /// with.
  Bytes next();

 private:
  struct Piece {
    std::vector<std::byte> bytes;
    bool under_way = false;
    std::optional<Error> error;
  };

  void request(Piece& piece);
  void wait_for(Piece& piece);

  RangeReader& blob_;
  const uint64_t piece_size_;
  const Priority priority_;
  ByteRange rest_;  // not requested yet
  size_t turn_ = 0;
  bool first_ = true;
  Mutex mutex_;  // guards the pieces' states, not their bytes
  CondVar arrived_;
  std::array<Piece, kPieces> pieces_;
};

}  // namespace erofs_oci
