// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "base/bytes.h"

namespace erofs_oci {

/// Makes wholes of a wanted size out of pieces of any size. What lies whole in a piece is not copied. One
/// thread at a time.
class Gather {
 public:
  /// Begins anew: the next whole has `size` bytes, at least one.
  void want(size_t size);
  /// Takes bytes from the front of `piece`; the whole once it is there, valid until the next call of take().
  std::optional<Bytes> take(Bytes& piece);
  /// Bytes of the whole that were taken, while it is not complete.
  size_t held() const { return delivered_ ? 0 : buffer_.size(); }
  size_t wanted() const { return wanted_; }

 private:
  std::vector<std::byte> buffer_;
  size_t wanted_ = 1;
  bool delivered_ = false;  // what is in buffer_ was a whole that may still be looked at
};

}  // namespace erofs_oci
