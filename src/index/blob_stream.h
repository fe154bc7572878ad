// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "base/mutex.h"
#include "base/range_reader.h"

namespace erofs_oci {

/// Reads a blob once from its start to its end, with the next pieces under way meanwhile. One thread at a
/// time; the blob's own threads fill the pieces.
class BlobStream {
 public:
  static constexpr uint64_t kPieceSize = 4 * kMiB;
  static constexpr size_t kPieces = 3;

  explicit BlobStream(RangeReader& blob);
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
  uint64_t requested_ = 0;
  size_t turn_ = 0;
  bool first_ = true;
  Mutex mutex_;  // guards the pieces' states, not their bytes
  CondVar arrived_;
  std::array<Piece, kPieces> pieces_;
};

}  // namespace erofs_oci
