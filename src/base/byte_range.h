// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>

namespace erofs_oci {

/// The half-open range of bytes [offset, offset + length).
struct ByteRange {
  uint64_t offset = 0;
  uint64_t length = 0;

  /// The range [begin, end); `end` must not lie before `begin`.
  static constexpr ByteRange from_to(uint64_t begin, uint64_t end) { return {begin, end - begin}; }

  constexpr uint64_t end() const { return offset + length; }
  constexpr bool empty() const { return length == 0; }
  /// Whether [offset, end) lies inside [0, size) without wrapping around.
  constexpr bool fits_in(uint64_t size) const { return offset <= size && length <= size - offset; }
  constexpr bool contains(ByteRange other) const { return offset <= other.offset && other.end() <= end(); }
  constexpr ByteRange intersect(ByteRange other) const {
    const uint64_t begin = std::max(offset, other.offset);
    const uint64_t stop = std::min(end(), other.end());
    return begin < stop ? from_to(begin, stop) : ByteRange{begin, 0};
  }
  friend constexpr bool operator==(ByteRange, ByteRange) = default;
};

/// "[4096, 8192)", as used in messages.
std::string to_string(ByteRange range);

/// The value of HTTP's Range header for `range`, whose ends are inclusive (RFC 9110, 14.1.2): "bytes=4096-8191".
/// `range` must not be empty.
std::string http_range(ByteRange range);

}  // namespace erofs_oci
