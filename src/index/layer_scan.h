// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <functional>
#include <vector>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/range_reader.h"
#include "gzip/checkpoint_inflater.h"
#include "tar/member.h"

namespace erofs_oci {

/// How a layer's blob holds its archive.
enum class StreamFormat : uint8_t { plain = 0, gzip = 1, zstd = 2 };
std::string_view to_string(StreamFormat format);

/// Told by the first bytes, as container engines do: media types are not always true.
StreamFormat detect_format(Bytes start);

/// A piece of a layer that can be decoded by itself, or with those before it that have the same `in`, as an index keeps
/// it. Its output ends where the next one's begins.
struct ScannedSpan {
  uint64_t in = 0;             ///< in the blob; for gzip the next whole byte (gzip/README.md)
  uint64_t out = 0;            ///< in the stream
  uint8_t bits = 0;            ///< of the byte before `in`
  uint64_t window_offset = 0;  ///< among what was given to the window sink
  uint32_t window_size = 0;    ///< 0: no window is needed
  uint64_t checksum = 0;       ///< of gzip: crc64() of the span's output
  Digest digest;               ///< of gzip: of the stored bytes, then the window as kept; else of the span's output
};

/// Spans that begin at the same place of the blob are decoded together, in their order; the number of such places.
size_t entry_points(const std::vector<ScannedSpan>& spans);

/// All that one pass over a layer finds.
struct LayerScan {
  /// What `members` may take: about three million of them.
  static constexpr uint64_t kMaxMembersMemory = kGiB;

  StreamFormat format = StreamFormat::plain;
  Digest blob_digest;
  Digest diff_id;  ///< of the stream (OCI image-spec, config.md)
  uint64_t blob_size = 0;
  uint64_t stream_size = 0;
  uint64_t archive_end = 0;        ///< of the last member's data, in whole blocks
  std::vector<ScannedSpan> spans;  ///< none of them without output
  std::deque<TarMember> members;
};

class LayerSink;

struct ScanOptions {
  uint64_t span_size = kMiB;
  /// Takes each span's window; returns it as it is kept, empty where nothing needs be.
  std::function<std::vector<std::byte>(SpanStart&&)> keep_window;
  /// Told the bytes of the blob that have gone through since the last call; may throw to give up.
  std::function<void(uint64_t)> progress;
  LayerSink* sink = nullptr;  ///< is given the stream and its spans, not told that they are good
};

/// Reads `blob` once, from its start to its end. Error corrupt or unsupported, naming the blob, for what is
/// no archive.
LayerScan scan_layer(RangeReader& blob, const ScanOptions& options);

}  // namespace erofs_oci
