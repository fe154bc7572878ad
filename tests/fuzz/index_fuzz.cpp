// SPDX-License-Identifier: Apache-2.0
// ImageIndex and IndexedSpans on any bytes:
//   u8 1: the rest is an index as it is; 2: digests are made right, so that what is behind them is reached.
//   Else the parts without the zeros between them: u8 number of parts, for each u8 type, u8 layer, u16 size;
//   u8 number of changes to the header, for each u16 place, u8 value; then the parts' bytes; then what blobs
//   hold
#include <algorithm>
#include <memory>
#include <span>
#include <vector>

#include "base/digest.h"
#include "base/error.h"
#include "harness.h"
#include "index/index_format.h"
#include "source/indexed_spans.h"

namespace erofs_oci {
namespace {

using fuzz::require;
namespace format = index_format;

constexpr uint8_t kRaw = 1;
constexpr uint8_t kRepair = 2;
constexpr uint64_t kMaxSpan = 256 * kKiB;  // what is decoded here: memory costs time

void put_digest(std::string& file, uint64_t at, const Digest& digest) {
  std::memcpy(file.data() + at, digest.value.data(), digest.value.size());
}

void repair(std::string& file) {
  if (file.size() < sizeof(format::Header)) return;
  const uint64_t parts = load_le<uint32_t>(file.data() + offsetof(format::Header, parts));
  const uint64_t end = sizeof(format::Header) + parts * sizeof(format::Part);
  if (end + sizeof(Digest::value) > file.size()) return;
  for (uint64_t at = sizeof(format::Header); at < end; at += sizeof(format::Part)) {
    const auto part = load_le<format::Part>(file.data() + at);
    const uint64_t offset = part.offset;
    const uint64_t size = part.size;
    if (offset > file.size() || size > file.size() - offset) continue;
    put_digest(file, at + offsetof(format::Part, digest),
               sha256(as_bytes(std::string_view(file).substr(offset, size))));
  }
  put_digest(file, end, sha256(as_bytes(std::string_view(file).substr(0, end))));
}

/// The index that the parts make.
std::string assemble(fuzz::Input& input) {
  const uint32_t count = input.number<uint8_t>() % 32;
  std::vector<format::Part> parts(count);
  const uint64_t table_end = sizeof(format::Header) + count * sizeof(format::Part);
  uint64_t end = table_end + sizeof(Digest::value);
  for (format::Part& part : parts) {
    part = {.type = static_cast<format::PartType>(input.number<uint8_t>()), .layer = input.number<uint8_t>()};
    part.offset = round_up(end, format::kAlignment);
    part.size = input.number<uint16_t>();
    end = part.offset + part.size;
  }
  std::string file(end, '\0');
  format::Header header{.version = format::kVersion, .parts = count, .file_size = end};
  std::memcpy(header.magic, format::kMagic, sizeof header.magic);
  std::memcpy(file.data(), &header, sizeof header);
  const Bytes table = std::as_bytes(std::span(parts));
  std::ranges::copy(as_text(table), file.data() + sizeof header);
  for (int changes = input.number<uint8_t>() % 16; changes > 0; --changes) {
    const size_t at = input.number<uint16_t>();
    const auto value = input.number<char>();
    if (at < table_end) file[at] = value;
  }
  for (const format::Part& part : parts) {
    const std::string_view bytes = input.text(part.size);
    file.replace(part.offset, bytes.size(), bytes);
  }
  return file;
}

/// The piece of a blob; zeros where it has none.
std::vector<std::byte> piece_of(std::string_view blob, ByteRange range) {
  std::vector<std::byte> bytes(range.length);
  const uint64_t have = std::min<uint64_t>(blob.size(), range.end());
  for (uint64_t at = range.offset; at < have; ++at) bytes[at - range.offset] = std::byte(blob[at]);
  return bytes;
}

bool is_small(const SpanTable& spans, size_t span) {
  return span < 16 && spans.output(span).length <= kMaxSpan && spans.stored(span).length <= kMaxSpan;
}

/// Makes the digests of gzip spans right, so that they are inflated.
void repair_spans(std::string& file, std::string_view blob) {
  const auto index = std::make_shared<ImageIndex>(fuzz::file_of(file), "fuzz");
  const auto parts = load_le<uint32_t>(file.data() + offsetof(format::Header, parts));
  size_t layer = 0;
  for (size_t number = 0; number < parts; ++number) {
    const auto part = load_le<format::Part>(file.data() + sizeof(format::Header) + number * sizeof(format::Part));
    if (part.type != format::PartType::spans) continue;
    const size_t of = layer++;
    if (index->identity().layers[of].format != StreamFormat::gzip) continue;
    const IndexedSpans spans(index, of);
    for (size_t i = 0; i < spans.span_count() && is_small(spans, i); ++i) {
      const ScannedSpan& span = index->spans(of)[i];
      Sha256 hash;
      hash.update(piece_of(blob, spans.stored(i)));
      hash.update(as_bytes(std::string_view(file).substr(index->windows(of).offset + span.window_offset, span.window_size)));
      put_digest(file, part.offset + i * sizeof(format::Span) + offsetof(format::Span, digest), hash.finish());
    }
  }
  repair(file);
}

void check_spans(const std::shared_ptr<const ImageIndex>& index, size_t layer, std::string_view blob) {
  std::unique_ptr<const IndexedSpans> spans;
  try {
    spans = std::make_unique<IndexedSpans>(index, layer);
  } catch (const Error& error) {
    require(error.kind() == ErrorKind::unsupported, "only too large a span is refused");
    return;
  }
  const IndexedLayer& of = index->identity().layers[layer];
  require(of.stream_size == 0 || spans->span_count() > 0, "a stream has spans");
  uint64_t out_end = 0;
  uint64_t stored_begin = 0;
  for (size_t i = 0; i < spans->span_count(); ++i) {
    const ByteRange output = spans->output(i);
    const ByteRange stored = spans->stored(i);
    require(output.offset == out_end && !output.empty() && output.fits_in(of.stream_size),
            "spans leave no gap");
    require(!stored.empty() && stored.fits_in(of.blob_size) && stored.offset >= stored_begin,
            "they lie in the blob");
    require(!spans->is_identity() || stored == output, "a plain span is its output");
    require(spans->find(output.offset) == i && spans->find(output.end() - 1) == i, "they are found");
    out_end = output.end();
    stored_begin = stored.offset;
    if (!is_small(*spans, i)) continue;
    std::vector<std::byte> out(output.length);
    try {
      spans->decode(i, piece_of(blob, stored), out);
    } catch (const Error& error) {
      require(error.kind() == ErrorKind::corrupt, "a span that cannot be decoded is corrupt");
    }
  }
  require(out_end == of.stream_size, "spans end with the stream");
}

void check_extents(const ImageIndex& index) {
  uint64_t end = index.metadata().size;
  for (const Extent& extent : index.extents()) {
    require(extent.device_offset >= end && extent.length > 0, "extents are sorted");
    require(extent.target < index.identity().layers.size(), "an extent is of a layer");
    require(extent.target_range().fits_in(index.identity().layers[extent.target].stream_size),
            "an extent lies in its stream");
    end = extent.device_end();
  }
}

}  // namespace
}  // namespace erofs_oci

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace erofs_oci;
  fuzz::Input input(bytes, size);
  const auto flags = input.number<uint8_t>();
  std::string file = flags & kRaw ? std::string(input.rest()) : assemble(input);
  const std::string_view blob = input.rest();
  std::shared_ptr<const ImageIndex> index;
  try {
    if (flags & kRepair) {
      repair(file);
      repair_spans(file, blob);
    }
    index = std::make_shared<ImageIndex>(fuzz::file_of(file), "fuzz");
  } catch (const Error& error) {
    require(error.kind() == ErrorKind::corrupt || error.kind() == ErrorKind::unsupported,
            "a bad index is corrupt");
    return 0;
  }
  check_extents(*index);
  for (size_t layer = 0; layer < index->identity().layers.size(); ++layer) check_spans(index, layer, blob);
  try {
    index->verify();
  } catch (const Error& error) {
    require(error.kind() == ErrorKind::corrupt, "what verify() finds is corrupt");
  }
  return 0;
}
