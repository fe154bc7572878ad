// SPDX-License-Identifier: Apache-2.0
#include "index/layer_scan.h"

#include "base/error.h"
#include "base/text.h"
#include "base/twin_sha256.h"
#include "index/blob_stream.h"
#include "index/layer_sink.h"
#include "index/stream_cutter.h"
#include "tar/reader.h"

namespace erofs_oci {
namespace {

/// About what a member costs.
uint64_t memory_of(const TarMember& member) {
  uint64_t bytes =
      sizeof member + member.path.size() + member.link.size() + member.data.size() * sizeof(TarData);
  for (const TarXattr& xattr : member.xattrs) bytes += sizeof xattr + xattr.name.size() + xattr.value.size();
  return bytes;
}

/// Hashes a layer's stream, whole and span by span, and walks its archive.
class Scanner : CutSink {
 public:
  Scanner(StreamFormat format, const ScanOptions& options)
      : options_(options),
        tar_([this](TarMember&& member) { keep(std::move(member)); }),
        cutter_(make_cutter(format, options.span_size, *this)) {
    scan_.format = format;
  }

  void feed(Bytes stored) {
    blob_hash_.update(stored);
    scan_.blob_size += stored.size();
    cutter_->feed(stored);
  }

  LayerScan finish() {
    cutter_->finish();
    tar_.finish();
    end_span();
    // Where the stream ends right behind a span there may still be an empty block or frame.
    if (!scan_.spans.empty() && scan_.spans.back().out == scan_.stream_size) scan_.spans.pop_back();
    scan_.blob_digest = blob_hash_.finish();
    scan_.diff_id = output_hash_.finish();
    scan_.archive_end = tar_.end_of_members();
    return std::move(scan_);
  }

 private:
  void keep(TarMember&& member) {
    members_memory_ += memory_of(member);
    if (members_memory_ > LayerScan::kMaxMembersMemory) {
      throw make_error(ErrorKind::unsupported, "its members need more than {} of memory",
                       human_size(LayerScan::kMaxMembersMemory));
    }
    scan_.members.push_back(std::move(member));
  }

  void output(Bytes bytes) override {
    output_hash_.update(bytes);
    scan_.stream_size += bytes.size();
    if (options_.sink != nullptr) options_.sink->output(bytes);
    tar_.feed(bytes);
  }

  void begin_span(uint64_t in, uint64_t out, uint8_t bits) override {
    end_span();
    scan_.spans.push_back({.in = in, .out = out, .bits = bits});
  }

  void end_span() {
    if (scan_.spans.empty()) return;
    scan_.spans.back().digest = output_hash_.finish_piece();
    if (options_.sink != nullptr) options_.sink->end_span();
  }

  void span_start(SpanStart start) override {
    ScannedSpan& span = scan_.spans.back();
    span.window_offset = windows_size_;
    span.window_size = options_.keep_window(std::move(start));
    windows_size_ += span.window_size;
  }

  const ScanOptions& options_;
  LayerScan scan_;
  uint64_t members_memory_ = 0;
  uint64_t windows_size_ = 0;
  Sha256 blob_hash_;
  TwinSha256 output_hash_;
  TarReader tar_;
  std::unique_ptr<StreamCutter> cutter_;
};

constexpr uint32_t kZstdFrame = 0xfd2fb528;      // RFC 8878, 3.1.1
constexpr uint32_t kZstdSkippable = 0x184d2a50;  // …50 to …5f; RFC 8878, 3.1.2

}  // namespace

std::string_view to_string(StreamFormat format) {
  switch (format) {
    case StreamFormat::gzip:
      return "tar+gzip";
    case StreamFormat::zstd:
      return "tar+zstd";
    case StreamFormat::plain:
      break;
  }
  return "tar";
}

StreamFormat detect_format(Bytes start) {
  if (start.size() >= 2 && load_be<uint16_t>(start.data()) == 0x1f8b) return StreamFormat::gzip;
  if (start.size() < 4) return StreamFormat::plain;
  const auto magic = load_le<uint32_t>(start.data());
  const bool zstd = magic == kZstdFrame || (magic & ~0xfu) == kZstdSkippable;
  return zstd ? StreamFormat::zstd : StreamFormat::plain;
}

size_t entry_points(const std::vector<ScannedSpan>& spans) {
  size_t count = 0;
  for (size_t i = 0; i < spans.size(); ++i) count += i == 0 || spans[i].in != spans[i - 1].in ? 1 : 0;
  return count;
}

LayerScan scan_layer(RangeReader& blob, const ScanOptions& options) {
  BlobStream stream(blob);
  Bytes piece = stream.next();
  Scanner scanner(detect_format(piece), options);
  for (; !piece.empty(); piece = stream.next()) {
    with_context(blob.name(), [&] { scanner.feed(piece); });
    if (options.progress) options.progress(piece.size());
  }
  return with_context(blob.name(), [&] { return scanner.finish(); });
}

}  // namespace erofs_oci
