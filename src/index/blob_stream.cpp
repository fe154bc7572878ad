// SPDX-License-Identifier: Apache-2.0
#include "index/blob_stream.h"

#include <algorithm>

namespace erofs_oci {

BlobStream::BlobStream(RangeReader& blob, ByteRange range, uint64_t piece_size, Priority priority)
    : blob_(blob), piece_size_(piece_size), priority_(priority), rest_(range) {
  // Nothing may throw once a read is under way: no destructor would wait for it.
  for (Piece& piece : pieces_) piece.bytes.reserve(std::min(piece_size, range.length));
  for (Piece& piece : pieces_) request(piece);
}

BlobStream::~BlobStream() {
  for (Piece& piece : pieces_) wait_for(piece);
}

Bytes BlobStream::next() {
  if (!first_) {  // the caller is done with the former piece
    request(pieces_[turn_]);
    turn_ = (turn_ + 1) % kPieces;
  }
  first_ = false;
  Piece& piece = pieces_[turn_];
  wait_for(piece);
  if (piece.error) throw *piece.error;
  return piece.bytes;
}

void BlobStream::request(Piece& piece) {
  const uint64_t length = std::min(piece_size_, rest_.length);
  piece.bytes.resize(length);
  if (length == 0) return;
  {
    MutexLock lock(mutex_);
    piece.under_way = true;
  }
  const ByteRange range{rest_.offset, length};
  rest_ = ByteRange::from_to(range.end(), rest_.end());
  blob_.read(range, piece.bytes, priority_, [this, &piece](std::optional<Error> error) {
    MutexLock lock(mutex_);
    piece.error = std::move(error);
    piece.under_way = false;
    arrived_.notify_all();
  });
}

void BlobStream::wait_for(Piece& piece) {
  MutexLock lock(mutex_);
  while (piece.under_way) arrived_.wait(mutex_);
}

}  // namespace erofs_oci
