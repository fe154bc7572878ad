// SPDX-License-Identifier: Apache-2.0
#include "index/extent_map.h"

#include <algorithm>

#include "base/error.h"

namespace erofs_oci {
namespace {

bool wraps(uint64_t offset, uint64_t length) { return length > UINT64_MAX - offset; }

}  // namespace

ExtentMap::ExtentMap(std::vector<Extent> extents) : extents_(std::move(extents)) {
  uint64_t end = 0;
  for (const Extent& extent : extents_) {
    if (extent.length == 0 || extent.device_offset < end || wraps(extent.device_offset, extent.length) ||
        wraps(extent.target_offset, extent.length)) {
      throw make_error(ErrorKind::corrupt, "the device map has a bad extent of {} bytes at {}",
                       extent.length, extent.device_offset);
    }
    end = extent.device_end();
  }
}

std::vector<Piece> ExtentMap::pieces(ByteRange range) const {
  std::vector<Piece> pieces;
  auto extent = std::ranges::upper_bound(extents_, range.offset, {}, &Extent::device_end);
  while (!range.empty()) {
    const bool behind_all = extent == extents_.end();
    Piece piece;
    if (behind_all || range.offset < extent->device_offset) {
      const uint64_t gap_end = behind_all ? range.end() : std::min(extent->device_offset, range.end());
      piece.range.length = gap_end - range.offset;
    } else {
      const uint64_t skip = range.offset - extent->device_offset;
      piece.is_gap = false;
      piece.target = extent->target;
      piece.range = {extent->target_offset + skip, std::min(extent->length - skip, range.length)};
      ++extent;
    }
    pieces.push_back(piece);
    range = ByteRange::from_to(range.offset + piece.range.length, range.end());
  }
  return pieces;
}

}  // namespace erofs_oci
