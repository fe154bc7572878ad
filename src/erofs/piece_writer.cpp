// SPDX-License-Identifier: Apache-2.0
#include "erofs/piece_writer.h"

#include <algorithm>
#include <cassert>

namespace erofs_oci::erofs {

PieceWriter::PieceWriter(std::function<void(Bytes)> sink, std::function<void(MutableBytes)> complete_first)
    : sink_(std::move(sink)), complete_first_(std::move(complete_first)) {
  piece_.reserve(kPiece);
}

void PieceWriter::append(Bytes bytes) {
  while (!bytes.empty()) {
    const Bytes now = bytes.first(std::min(bytes.size(), kPiece - piece_.size()));
    piece_.insert(piece_.end(), now.begin(), now.end());
    bytes = bytes.subspan(now.size());
    if (piece_.size() == kPiece) finish();
  }
}

void PieceWriter::pad_to(uint64_t to) {
  assert(to >= offset());
  while (offset() < to) {
    piece_.resize(piece_.size() + std::min(to - offset(), kPiece - piece_.size()));
    if (piece_.size() == kPiece) finish();
  }
}

void PieceWriter::finish() {
  if (piece_.empty()) return;
  if (flushed_ == 0) complete_first_(piece_);
  sink_(piece_);
  flushed_ += piece_.size();
  piece_.clear();
}

}  // namespace erofs_oci::erofs
