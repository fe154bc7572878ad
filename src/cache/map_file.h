// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/byte_range.h"
#include "base/bytes.h"
#include "cache/layer_key.h"
#include "source/span_table.h"

namespace erofs_oci {

/// Where a layer's spans begin, as its map file has it. Immutable.
struct SpanCuts {
  std::vector<uint64_t> starts;  ///< ascending, the first is 0
  uint64_t stream_size = 0;

  size_t count() const { return starts.size(); }
  ByteRange span(size_t number) const {
    return ByteRange::from_to(starts[number], number + 1 < starts.size() ? starts[number + 1] : stream_size);
  }
  static SpanCuts of(const SpanTable& table);
  friend bool operator==(const SpanCuts&, const SpanCuts&) = default;
};

/// The checksum of a span that is in the data file; none where it is not.
using SpanMark = std::optional<uint64_t>;

/// What a map file (README.md) says.
struct LayerMap {
  LayerKey key;
  SpanCuts cuts;
  std::vector<SpanMark> marks;
};

/// More spans are not cached: their map would be 96 MiB.
constexpr uint64_t kMaxCachedSpans = 1 << 22;
/// Longer spans are not cached; SpanTables refuse them before.
constexpr uint64_t kMaxCachedSpan = 32 * kMiB;

/// Whether a map can be made of them.
bool is_cacheable(const SpanCuts& cuts);
/// Fills an empty file with a map of no marks. Throws Error.
void write_map(int file, const LayerKey& key, const SpanCuts& cuts, const std::string& name);
/// Throws Error corrupt where it is damaged, unsupported where it is of another version.
LayerMap read_map(int file, const std::string& name);
/// Sets or clears one mark, not durably. Throws Error.
void write_mark(int file, const SpanCuts& cuts, size_t span, SpanMark mark, const std::string& name);

}  // namespace erofs_oci
