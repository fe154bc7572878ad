// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <vector>

#include "base/bytes.h"

namespace erofs_oci::erofs {

/// Turns what is appended into pieces of a bounded size.
class PieceWriter {
 public:
  static constexpr size_t kPiece = 64 * kKiB;

  /// `complete_first` may alter the first piece before it goes to `sink`.
  PieceWriter(std::function<void(Bytes)> sink, std::function<void(MutableBytes)> complete_first);

  /// Bytes appended so far.
  uint64_t offset() const { return flushed_ + piece_.size(); }
  void append(Bytes bytes);
  template <typename T>
  void append_raw(const T& value) {
    append(std::as_bytes(std::span(&value, 1)));
  }
  /// Zeros up to `offset`, which must not lie behind.
  void pad_to(uint64_t offset);
  void finish();

 private:
  std::function<void(Bytes)> sink_;
  std::function<void(MutableBytes)> complete_first_;
  uint64_t flushed_ = 0;
  std::vector<std::byte> piece_;
};

}  // namespace erofs_oci::erofs
