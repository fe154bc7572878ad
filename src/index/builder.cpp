// SPDX-License-Identifier: Apache-2.0
#include "index/builder.h"

#include <fcntl.h>

#include <algorithm>
#include <atomic>
#include <numeric>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "base/mutex.h"
#include "base/text.h"
#include "erofs/writer.h"
#include "gzip/zinfo_writer.h"
#include "index/device_layout.h"
#include "index/index_writer.h"
#include "zstd/block.h"

namespace erofs_oci {
namespace {

namespace format = index_format;

constexpr uint32_t kImageBlock = 4096;
constexpr uint32_t kTarindexBlock = 512;
constexpr const char* kTool = "erofs-oci " EROFS_OCI_VERSION;

/// Sums what the layers' threads read, and lets one failure end them all.
class Progress {
 public:
  Progress(const BuildProgress& report, uint64_t total) : report_(report), total_(total) {}

  void add(uint64_t bytes) {
    MutexLock lock(mutex_);
    if (failure_) throw *failure_;
    done_ += bytes;
    if (report_) report_(done_, total_);
  }

  void fail(const Error& error) {
    MutexLock lock(mutex_);
    if (!failure_) failure_ = error;
  }

  void throw_failure() {
    MutexLock lock(mutex_);
    if (failure_) throw *failure_;
  }

 private:
  const BuildProgress& report_;
  const uint64_t total_;
  Mutex mutex_;
  uint64_t done_ GUARDED_BY(mutex_) = 0;
  std::optional<Error> failure_ GUARDED_BY(mutex_);
};

void check_digest(const std::optional<Digest>& stated, const Digest& found, const RangeReader& blob,
                  std::string_view what) {
  if (!stated || *stated == found) return;
  throw make_error(ErrorKind::corrupt, "{}: its {} is {} where the image says {}", blob.name(), what,
                   to_string(found), to_string(*stated));
}

void check_digests(const LayerInput& input, const LayerScan& scan) {
  check_digest(input.digest, scan.blob_digest, *input.blob, "digest");
  check_digest(input.diff_id, scan.diff_id, *input.blob, "uncompressed digest");
}

/// A layer's scan, and its windows in a file of their own.
struct ScannedLayer {
  LayerScan scan;
  UniqueFd windows;
  uint64_t windows_size = 0;
  std::unique_ptr<LayerSink> sink;
};

std::vector<std::byte> store_window(SpanStart&& start, ScannedLayer& layer) {
  zero_unreferenced(start);
  if (std::ranges::all_of(start.window, [](std::byte byte) { return byte == std::byte{0}; })) return {};
  auto compressed = zstd_compress(start.window);
  pwrite_all(layer.windows.get(), layer.windows_size, compressed, "scratch file for windows");
  layer.windows_size += compressed.size();
  return compressed;
}

ScannedLayer scan_for_image(const LayerInput& input, const BuildOptions& options, Progress& progress) {
  ScannedLayer layer;
  layer.windows = open_file(options.scratch, O_TMPFILE | O_RDWR, 0600);
  if (options.sinks && input.digest) layer.sink = options.sinks(*input.digest);
  ScanOptions scan_options{
      .span_size = options.span_size,
      .keep_window = [&](SpanStart&& start) { return store_window(std::move(start), layer); },
      .progress = [&](uint64_t bytes) { progress.add(bytes); },
      .sink = layer.sink.get()};
  layer.scan = scan_layer(*input.blob, scan_options);
  check_digests(input, layer.scan);
  // What turned out to be no span may have left its window.
  const std::vector<ScannedSpan>& spans = layer.scan.spans;
  layer.windows_size = spans.empty() ? 0 : spans.back().window_offset + spans.back().window_size;
  return layer;
}

/// Scans the layers on several threads, the largest first.
std::vector<ScannedLayer> scan_all(const std::vector<LayerInput>& inputs, const BuildOptions& options) {
  std::vector<size_t> order(inputs.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, std::greater(), [&](size_t i) { return inputs[i].blob->size_bytes(); });
  uint64_t total = 0;
  for (const LayerInput& input : inputs) total += input.blob->size_bytes();
  Progress progress(options.progress, total);
  std::vector<ScannedLayer> layers(inputs.size());
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    try {
      for (size_t i = next++; i < order.size(); i = next++)
        layers[order[i]] = scan_for_image(inputs[order[i]], options, progress);
    } catch (const Error& error) {
      progress.fail(error);
    } catch (const std::exception& error) {
      progress.fail(Error(ErrorKind::system, error.what()));
    }
  };
  {
    std::vector<std::jthread> threads;
    for (size_t i = 1; i < std::min<size_t>(options.threads, inputs.size()); ++i) threads.emplace_back(work);
    work();
  }
  progress.throw_failure();
  return layers;
}

IndexedLayer describe(const LayerScan& scan) {
  return {.digest = scan.blob_digest,
          .diff_id = scan.diff_id,
          .blob_size = scan.blob_size,
          .stream_size = scan.stream_size,
          .format = scan.format};
}

/// A name for the filesystem that follows from what it is of (RFC 9562, version 8).
std::array<std::byte, 16> uuid_of(const Digest& digest) {
  std::array<std::byte, 16> uuid;
  std::copy_n(digest.value.begin(), uuid.size(), uuid.begin());
  uuid[6] = (uuid[6] & std::byte{0x0f}) | std::byte{0x80};
  uuid[8] = (uuid[8] & std::byte{0x3f}) | std::byte{0x80};
  return uuid;
}

/// A sparse file or hard links could make far more metadata than what describes them.
void check_metadata_size(const erofs::Writer& metadata, const LayerMerger& merged) {
  const uint64_t most =
      kMetadataAllowance + kMetadataPerEntry * (merged.member_count() + metadata.inode_count());
  if (metadata.metadata_size() <= most) return;
  throw make_error(ErrorKind::unsupported,
                   "its metadata would need {}, and {} is the most for so few files: are some very sparse?",
                   human_size(metadata.metadata_size()), human_size(most));
}

template <typename T>
Bytes bytes_of(const T& value) {
  return {reinterpret_cast<const std::byte*>(&value), sizeof value};
}

void write_extents(IndexWriter& writer, const std::vector<Extent>& extents, uint64_t data_begin) {
  std::vector<format::Extent> entries;
  entries.reserve(extents.size());
  for (const Extent& extent : extents) {
    entries.push_back({data_begin + extent.device_offset, extent.target_offset,
                       extent.length | uint64_t{extent.target} << format::kLengthBits});
  }
  writer.write(std::as_bytes(std::span(entries)));
}

/// Writes the table of a layer's spans; its digest.
Digest write_spans(IndexWriter& writer, const std::vector<ScannedSpan>& spans) {
  Sha256 hash;
  for (const ScannedSpan& span : spans) {
    format::Span entry{.in = span.in,
                       .out = span.out,
                       .checksum = span.checksum,
                       .window_size = span.window_size,
                       .bits = span.bits,
                       .zero = {},
                       .digest = {}};
    std::memcpy(entry.digest, span.digest.value.data(), sizeof entry.digest);
    writer.write(bytes_of(entry));
    hash.update(bytes_of(entry));
  }
  return hash.finish();
}

LayerMerger merge(std::vector<ScannedLayer>& layers) {
  LayerMerger merged(Whiteouts::apply);
  for (ScannedLayer& layer : layers) merged.add_layer(std::move(layer.scan.members));
  return merged;
}

}  // namespace

BuildReport build_image_index(const ImageInput& image, const BuildOptions& options, int out,
                              const std::string& name) {
  if (image.layers.size() > format::kMaxLayers) {
    throw make_error(ErrorKind::unsupported, "{} layers; at most {} can be merged", image.layers.size(),
                     format::kMaxLayers);
  }
  std::vector<ScannedLayer> layers = scan_all(image.layers, options);
  LayerMerger merged = merge(layers);
  const DeviceLayout device = lay_out_data(merged, kImageBlock);

  IndexIdentity identity{.tool = kTool,
                         .manifest = image.manifest,
                         .platform = image.platform,
                         .layer = image.layer,
                         .span_size = options.span_size,
                         .layers = {}};
  for (const ScannedLayer& layer : layers) identity.layers.push_back(describe(layer.scan));
  const std::string identity_json = identity_to_json(identity);

  const erofs::Writer metadata(merged.tree(), {.block_size = kImageBlock,
                                               .data_area = erofs::DataArea::behind_metadata,
                                               .data_size = device.data_size,
                                               .epoch = most_common_mtime(merged.tree()),
                                               .uuid = uuid_of(sha256(as_bytes(identity_json)))});
  check_metadata_size(metadata, merged);
  IndexWriter writer(out, name, static_cast<uint32_t>(3 + 2 * layers.size()));
  writer.begin(format::PartType::identity);
  writer.write(as_bytes(identity_json));
  writer.begin(format::PartType::metadata);
  metadata.write([&](Bytes bytes) { writer.write(bytes); });
  writer.begin(format::PartType::extents);
  write_extents(writer, device.extents, metadata.metadata_size());
  for (uint32_t i = 0; i < layers.size(); ++i) {
    writer.begin(format::PartType::spans, i);
    const Digest digest = write_spans(writer, layers[i].scan.spans);
    if (layers[i].sink) layers[i].sink->finish(layers[i].scan, digest);
  }
  for (uint32_t i = 0; i < layers.size(); ++i) {
    writer.begin(format::PartType::windows, i);
    writer.write_file(layers[i].windows.get(), layers[i].windows_size);
  }
  BuildReport report;
  report.identity = writer.finish();
  report.inodes = metadata.inode_count();
  report.metadata_size = metadata.metadata_size();
  report.layers = std::move(identity.layers);
  for (const ScannedLayer& layer : layers) {
    report.spans.push_back(layer.scan.spans.size());
    report.entry_points.push_back(entry_points(layer.scan.spans));
  }
  report.notes = merged.notes();
  return report;
}

BuildReport build_tarindex(const LayerInput& layer, const BuildOptions& options, const TarindexOutput& out) {
  ZinfoWriter zinfo(out.zinfo, "zinfo", options.span_size);
  Progress progress(options.progress, layer.blob->size_bytes());
  const ScanOptions scan_options{.span_size = options.span_size,
                                 .keep_window =
                                     [&](SpanStart&& start) {
                                       if (out.zinfo >= 0) zinfo.add(start);
                                       return std::vector<std::byte>();
                                     },
                                 .progress = [&](uint64_t bytes) { progress.add(bytes); }};
  LayerScan scan = scan_layer(*layer.blob, scan_options);
  check_digests(layer, scan);
  if (scan.format == StreamFormat::gzip && out.zinfo >= 0) zinfo.finish();
  LayerMerger merged(out.whiteouts);
  merged.add_layer(std::move(scan.members));
  const erofs::Writer metadata(merged.tree(), {.block_size = kTarindexBlock,
                                               .data_area = erofs::DataArea::extra_device,
                                               .data_size = scan.archive_end,
                                               .epoch = most_common_mtime(merged.tree()),
                                               .uuid = uuid_of(scan.diff_id)});
  check_metadata_size(metadata, merged);
  uint64_t offset = 0;
  metadata.write([&](Bytes bytes) {
    pwrite_all(out.tarindex, offset, bytes, "tarindex");
    offset += bytes.size();
  });
  BuildReport report;
  report.inodes = metadata.inode_count();
  report.metadata_size = metadata.metadata_size();
  report.layers = {describe(scan)};
  report.spans = {scan.spans.size()};
  report.entry_points = {entry_points(scan.spans)};
  report.notes = merged.notes();
  return report;
}

}  // namespace erofs_oci
