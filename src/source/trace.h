// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "source/access_record.h"
#include "source/mapped_device.h"
#include "source/span_place.h"

namespace erofs_oci {

/// What starts of an image read, in the order of its first use: what the last one read, then what only those
/// before did.
struct Trace {
  /// A trace has no more; it says nothing of what is beyond.
  static constexpr size_t kMaxSpans = 32768;
  /// A span that so many starts in a row have not read is forgotten.
  static constexpr uint8_t kMaxAge = 3;

  struct Entry {
    SpanPlace place;
    uint8_t age = 0;  ///< starts since it was read
    friend bool operator==(const Entry&, const Entry&) = default;
  };

  Digest device;  ///< device_identity() of what it is of
  std::vector<Entry> entries;
};

/// Stands for a device's streams and how they are cut: places in devices of the same are the same bytes.
Digest device_identity(const MappedDevice& device);

/// What readers have asked for within `time` since the device was made, on top of what starts before it read.
Trace next_trace(const Trace& former, const std::vector<Access>& accesses, std::chrono::microseconds time);

/// A trace as a file (README.md).
std::string encode_trace(const Trace& trace);
/// Throws Error corrupt, unsupported for another version.
Trace decode_trace(std::string_view file);

/// Its spans that the device has, in its order.
std::vector<SpanPlace> spans_of(const Trace& trace, const MappedDevice& device);

}  // namespace erofs_oci
