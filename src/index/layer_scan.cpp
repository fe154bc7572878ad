// SPDX-License-Identifier: Apache-2.0
#include "index/layer_scan.h"

#include <optional>
#include <utility>

#include "base/crc64.h"
#include "base/error.h"
#include "base/text.h"
#include "base/twin_sha256.h"
#include "index/blob_stream.h"
#include "index/layer_sink.h"
#include "index/stored_digests.h"
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

/// Hashes a layer, whole and span by span, and walks its archive.
class Scanner : CutSink {
 public:
  Scanner(StreamFormat format, const ScanOptions& options)
      : options_(options),
        tar_([this](TarMember&& member) { keep(std::move(member)); }),
        cutter_(make_cutter(format, options.span_size, *this)) {
    scan_.format = format;
    if (format == StreamFormat::gzip) stored_.emplace();
  }

  void feed(Bytes stored) {
    blob_hash_.update(stored);
    scan_.blob_size += stored.size();
    if (stored_) stored_->show(stored);
    cutter_->feed(stored);
    if (stored_) stored_->done();
  }

  LayerScan finish() {
    cutter_->finish();
    tar_.finish();
    end_spans();
    scan_.blob_digest = blob_hash_.finish();
    scan_.diff_id = stored_ ? output_hash_.finish() : twin_hash_.finish();
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
    if (stored_) {
      stored_->confirm();
      output_hash_.update(bytes);
      checksum_ = crc64(bytes, checksum_);
    } else {
      twin_hash_.update(bytes);
    }
    scan_.stream_size += bytes.size();
    if (options_.sink != nullptr) options_.sink->output(bytes);
    tar_.feed(bytes);
  }

  void begin_span(uint64_t in, uint64_t out, uint8_t bits) override {
    const auto stored = stored_ ? stored_->begin_span(in - (bits != 0 ? 1 : 0), in) : std::nullopt;
    if (!scan_.spans.empty()) end_span(stored ? *stored : twin_hash_.finish_piece());
    scan_.spans.push_back({.in = in, .out = out, .bits = bits});
  }

  void end_span(const Digest& digest) {
    scan_.spans.back().digest = digest;
    scan_.spans.back().checksum = std::exchange(checksum_, 0);
    if (options_.sink != nullptr) options_.sink->end_span();
  }

  void end_spans() {
    if (scan_.spans.empty()) return;
    const std::optional<Digest> stored = stored_ ? stored_->finish() : std::nullopt;
    end_span(stored ? *stored : twin_hash_.finish_piece());
    if (scan_.spans.back().out != scan_.stream_size) return;
    // Where the stream ends right behind a span there may still be an empty block or frame, which is decoded with it.
    scan_.spans.pop_back();
    if (stored && !scan_.spans.empty()) scan_.spans.back().digest = *stored;
  }

  void span_start(SpanStart start) override {
    ScannedSpan& span = scan_.spans.back();
    std::vector<std::byte> window = options_.keep_window(std::move(start));
    span.window_offset = windows_size_;
    span.window_size = static_cast<uint32_t>(window.size());
    windows_size_ += window.size();
    stored_->set_window(std::move(window));
  }

  const ScanOptions& options_;
  LayerScan scan_;
  uint64_t members_memory_ = 0;
  uint64_t windows_size_ = 0;
  Sha256 blob_hash_;
  std::optional<StoredDigests> stored_;  // of gzip; then of its output:
  Sha256 output_hash_;
  uint64_t checksum_ = 0;  // of the span at hand
  TwinSha256 twin_hash_;   // of other output, whole and of the span at hand
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
