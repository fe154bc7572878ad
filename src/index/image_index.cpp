// SPDX-License-Identifier: Apache-2.0
#include "index/image_index.h"

#include <algorithm>

#include "base/byte_range.h"
#include "base/error.h"
#include "base/file.h"
#include "index/index_format.h"

namespace erofs_oci {
namespace {

namespace format = index_format;

constexpr uint64_t kVerifyPiece = kMiB;

Digest digest_of(const uint8_t (&bytes)[32]) {
  Digest digest;
  std::memcpy(digest.value.data(), bytes, sizeof bytes);
  return digest;
}

/// The entries of a table part.
template <typename Entry>
std::vector<Entry> entries_of(Bytes part) {
  std::vector<Entry> entries(part.size() / sizeof(Entry));
  if (!entries.empty()) std::memcpy(entries.data(), part.data(), entries.size() * sizeof(Entry));
  return entries;
}

}  // namespace

/// The header's table, sorted out.
struct ImageIndex::Parts {
  std::vector<Part> identity;
  std::vector<Part> metadata;
  std::vector<Part> extents;
  std::vector<Part> spans;
  std::vector<Part> windows;

  /// Where the parts of a type are; null for a type that is not known.
  std::vector<Part>* of(format::PartType type) {
    switch (type) {
      case format::PartType::identity:
        return &identity;
      case format::PartType::metadata:
        return &metadata;
      case format::PartType::extents:
        return &extents;
      case format::PartType::spans:
        return &spans;
      case format::PartType::windows:
        return &windows;
    }
    return nullptr;
  }
};

ImageIndex::ImageIndex(UniqueFd file, std::string name) : file_(std::move(file)), name_(std::move(name)) {
  with_context(name_, [&] {
    Parts parts = read_header();
    metadata_ = parts.metadata[0];
    windows_ = std::move(parts.windows);
    read_identity(parts.identity[0]);
    if (identity_.layers.size() != parts.spans.size()) corrupt("its layers and parts differ in number");
    for (const IndexedLayer& layer : identity_.layers) {
      if (layer.format == StreamFormat::plain && layer.blob_size != layer.stream_size)
        corrupt("a plain layer has two sizes");
    }
    read_extents(parts.extents[0]);
    spans_.resize(parts.spans.size());
    for (size_t layer = 0; layer < parts.spans.size(); ++layer) read_spans(parts.spans[layer], layer);
    for (const Part& spans : parts.spans) spans_digests_.push_back(spans.digest);
    verify_part(metadata_, "metadata");
  });
}

void ImageIndex::corrupt(std::string_view what) const {
  throw make_error(ErrorKind::corrupt, "the index is damaged ({}); remove it, and it will be built anew",
                   what);
}

ImageIndex::Parts ImageIndex::read_header() {
  format::Header header;
  const uint64_t size = static_cast<uint64_t>(stat_fd(file_.get(), name_).st_size);
  if (size < sizeof header) corrupt("it is too short");
  pread_exactly(file_.get(), 0, {reinterpret_cast<std::byte*>(&header), sizeof header}, name_);
  if (std::memcmp(header.magic, format::kMagic, sizeof header.magic) != 0)
    corrupt("it does not begin as one");
  if (const uint32_t version = header.version; version != format::kVersion) {
    throw make_error(ErrorKind::unsupported,
                     "the index is of version {}, this program knows {}; remove it, and it will "
                     "be built anew",
                     version, format::kVersion);
  }
  if (header.parts > format::kMaxParts || header.file_size != size) corrupt("its size is wrong");
  const size_t table = sizeof header + header.parts * sizeof(format::Part);
  std::vector<std::byte> bytes(table + sizeof(Digest::value));
  if (size < bytes.size()) corrupt("it is too short");
  pread_exactly(file_.get(), 0, bytes, name_);
  digest_ = sha256(Bytes(bytes).first(table));
  if (!std::ranges::equal(digest_.value, Bytes(bytes).subspan(table)))
    corrupt("its header differs from its digest");
  Parts parts;
  uint64_t end = bytes.size();
  for (const auto& entry : entries_of<format::Part>(Bytes(bytes).first(table).subspan(sizeof header))) {
    const Part part{entry.offset, entry.size, digest_of(entry.digest)};
    if (part.offset < end || part.offset % format::kAlignment != 0 ||
        !ByteRange{part.offset, part.size}.fits_in(size)) {
      corrupt("a part lies outside");
    }
    end = part.offset + part.size;
    std::vector<Part>* const same = parts.of(entry.type);
    if (same == nullptr || entry.zero != 0) corrupt("a part is of no known type");
    if (entry.layer != same->size()) corrupt("a part is of another layer than its place says");
    same->push_back(part);
  }
  if (end != size) corrupt("its size is wrong");
  if (parts.identity.size() != 1 || parts.metadata.size() != 1 || parts.extents.size() != 1 ||
      parts.metadata[0].size == 0 || parts.spans.size() != parts.windows.size()) {
    corrupt("a part is missing, or there twice");
  }
  return parts;
}

void ImageIndex::read_identity(const Part& part) {
  if (part.size > format::kMaxIdentity) corrupt("its identity is too long");
  const auto bytes = read_part(part, "identity");
  identity_ = identity_from_json(as_text(bytes));
}

void ImageIndex::read_extents(const Part& part) {
  const auto bytes = read_table<format::Extent>(part, "extents");
  std::vector<Extent> extents;
  extents.reserve(1 + bytes.size() / sizeof(format::Extent));
  extents.push_back({.device_offset = 0, .target_offset = metadata_.offset, .length = metadata_.size, .target = kMetadata});
  uint64_t end = metadata_.size;
  for (const auto& entry : entries_of<format::Extent>(bytes)) {
    const Extent extent{.device_offset = entry.device_offset,
                        .target_offset = entry.stream_offset,
                        .length = entry.length_and_layer & format::kMaxLength,
                        .target = static_cast<uint32_t>(entry.length_and_layer >> format::kLengthBits)};
    if (extent.target >= identity_.layers.size() || extent.length == 0 || extent.device_offset < end ||
        extent.device_offset > INT64_MAX - extent.length ||
        !extent.target_range().fits_in(identity_.layers[extent.target].stream_size)) {
      corrupt("an extent is out of place");
    }
    end = extent.device_end();
    extents.push_back(extent);
  }
  map_ = ExtentMap(std::move(extents));
}

void ImageIndex::read_spans(const Part& part, size_t layer) {
  const auto bytes = read_table<format::Span>(part, "spans");
  std::vector<ScannedSpan>& spans = spans_[layer];
  spans.reserve(bytes.size() / sizeof(format::Span));
  uint64_t windows_end = 0;
  for (const auto& entry : entries_of<format::Span>(bytes)) {
    spans.push_back({.in = entry.in,
                     .out = entry.out,
                     .bits = entry.bits,
                     .window_offset = windows_end,
                     .window_size = entry.window_size,
                     .checksum = entry.checksum,
                     .digest = digest_of(entry.digest)});
    check_span(layer, spans.size() - 1);
    windows_end += entry.window_size;
  }
  if (windows_end != windows_[layer].size) corrupt("its windows are of another size than its spans say");
  if (spans.empty() && identity_.layers[layer].stream_size != 0) corrupt("a layer has no spans");
}

void ImageIndex::check_span(size_t layer, size_t number) const {
  const IndexedLayer& of = identity_.layers[layer];
  const ScannedSpan& span = spans_[layer][number];
  const bool plain = of.format == StreamFormat::plain;
  const bool gzip = of.format == StreamFormat::gzip;
  bool right = span.in < of.blob_size && span.out < of.stream_size && span.bits < 8 &&
               (!plain || span.in == span.out) && (span.bits == 0 || span.in > 0) &&
               (gzip || (span.bits == 0 && span.window_size == 0 && span.checksum == 0)) &&
               span.window_size <= format::kMaxWindow &&
               ByteRange{span.window_offset, span.window_size}.fits_in(windows_[layer].size);
  if (number == 0) {
    right = right && span.out == 0;
  } else {
    const ScannedSpan& before = spans_[layer][number - 1];
    const bool together = of.format == StreamFormat::zstd && before.in == span.in;
    right = right && before.out < span.out && (before.in < span.in || together);
  }
  if (!right) corrupt("a span is out of place");
}

template <typename Entry>
std::vector<std::byte> ImageIndex::read_table(const Part& part, std::string_view what) const {
  if (part.size > format::kMaxTable || part.size % sizeof(Entry) != 0)
    corrupt(fmt::format("its {} are of no right size", what));
  return read_part(part, what);
}

std::vector<std::byte> ImageIndex::read_part(const Part& part, std::string_view what) const {
  std::vector<std::byte> bytes(part.size);
  pread_exactly(file_.get(), part.offset, bytes, name_);
  if (sha256(bytes) != part.digest) corrupt(fmt::format("its {} differ from their digest", what));
  return bytes;
}

void ImageIndex::verify_part(const Part& part, std::string_view what) const {
  Sha256 hash;
  std::vector<std::byte> piece(std::min(kVerifyPiece, part.size));
  for (uint64_t done = 0; done < part.size; done += piece.size()) {
    piece.resize(std::min<uint64_t>(piece.size(), part.size - done));
    pread_exactly(file_.get(), part.offset + done, piece, name_);
    hash.update(piece);
  }
  if (hash.finish() != part.digest) corrupt(fmt::format("its {} differ from their digest", what));
}

void ImageIndex::verify() const {
  with_context(name_, [&] {
    verify_part(metadata_, "metadata");
    for (const Part& windows : windows_) verify_part(windows, "windows");
  });
}

}  // namespace erofs_oci
