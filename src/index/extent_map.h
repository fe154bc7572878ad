// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "base/byte_range.h"

namespace erofs_oci {

/// Where an extent's bytes are: in the local metadata file, or in stream number `target`.
constexpr uint32_t kMetadata = UINT32_MAX;

/// Device bytes [device_offset, device_offset + length) are the target's bytes from target_offset on.
struct Extent {
  uint64_t device_offset = 0;
  uint64_t target_offset = 0;
  uint64_t length = 0;
  uint32_t target = kMetadata;

  uint64_t device_end() const { return device_offset + length; }
  ByteRange target_range() const { return {target_offset, length}; }
};

/// A part of a read: bytes of one extent, or a gap, which reads as zeros.
struct Piece {
  bool is_gap = true;
  uint32_t target = kMetadata;
  ByteRange range;  ///< in the target; for a gap only the length counts
};

/// The map of a device: sorted extents that do not overlap. Immutable, thread-safe.
class ExtentMap {
 public:
  /// Throws Error corrupt where `extents` are empty ones, not sorted, overlap or wrap around.
  explicit ExtentMap(std::vector<Extent> extents);

  /// The end of the last extent.
  uint64_t end() const { return extents_.empty() ? 0 : extents_.back().device_end(); }
  const std::vector<Extent>& extents() const { return extents_; }

  /// The pieces of `range`, in order; together exactly as long as it.
  std::vector<Piece> pieces(ByteRange range) const;

 private:
  std::vector<Extent> extents_;
};

inline std::shared_ptr<const ExtentMap> share(ExtentMap map) {
  return std::make_shared<const ExtentMap>(std::move(map));
}

}  // namespace erofs_oci
