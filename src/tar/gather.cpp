// SPDX-License-Identifier: Apache-2.0
#include "tar/gather.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace erofs_oci {

void Gather::want(size_t size) {
  assert(size > 0 && held() == 0);
  wanted_ = size;
}

std::optional<Bytes> Gather::take(Bytes& piece) {
  if (std::exchange(delivered_, false)) buffer_.clear();
  const Bytes taken = piece.first(std::min(piece.size(), wanted_ - buffer_.size()));
  piece = piece.subspan(taken.size());
  if (taken.size() == wanted_) return taken;
  buffer_.insert(buffer_.end(), taken.begin(), taken.end());
  if (buffer_.size() < wanted_) return std::nullopt;
  delivered_ = true;
  return buffer_;
}

}  // namespace erofs_oci
