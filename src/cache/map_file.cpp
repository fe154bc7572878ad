// SPDX-License-Identifier: Apache-2.0
#include "cache/map_file.h"

#include <algorithm>
#include <array>

#include "base/crc64.h"
#include "base/error.h"
#include "base/file.h"

namespace erofs_oci {
namespace {

constexpr char kMagic[9] = "EROFSOCC";
constexpr uint32_t kVersion = 1;
constexpr uint64_t kPage = 4096;
constexpr uint64_t kPresent = 0x21544e4553455250;  // "PRESENT!"

struct Header {
  char magic[8];
  uint32_t version;
  uint32_t kind;
  uint64_t spans;
  uint64_t stream_size;
  std::byte layer[32];
  std::byte table[32];
  uint64_t starts_crc;
  uint64_t crc;  // of all before
};
static_assert(sizeof(Header) == 112);

struct Mark {
  uint64_t checksum;
  uint64_t present;
};
static_assert(sizeof(Mark) == 16);

uint64_t marks_offset(uint64_t spans) {
  return round_up(kPage + spans * sizeof(uint64_t), kPage);
}

template <typename T>
Bytes bytes_of(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}

uint64_t crc_of(const Header& header) {
  return crc64(std::as_bytes(std::span(&header, 1)).first(offsetof(Header, crc)));
}

[[noreturn]] void damaged(const std::string& name, std::string_view what) {
  throw make_error(ErrorKind::corrupt, "{}: the map is damaged ({})", name, what);
}

Header read_header(int file, const std::string& name) {
  const auto size = static_cast<uint64_t>(stat_fd(file, name).st_size);
  if (size < sizeof(Header)) damaged(name, "it is too short");
  Header header;
  pread_exactly(file, 0, std::as_writable_bytes(std::span(&header, 1)), name);
  if (std::memcmp(header.magic, kMagic, sizeof header.magic) != 0) damaged(name, "it does not begin as one");
  if (header.version != kVersion) {
    throw make_error(ErrorKind::unsupported, "{}: is of version {}, this program knows {}", name,
                     header.version, kVersion);
  }
  if (header.crc != crc_of(header)) damaged(name, "its header");
  if (header.spans > kMaxCachedSpans || size != marks_offset(header.spans) + header.spans * sizeof(Mark))
    damaged(name, "its size is wrong");
  if (header.kind < static_cast<uint32_t>(TableKind::index) ||
      header.kind > static_cast<uint32_t>(TableKind::plain))
    damaged(name, "its kind is not known");
  return header;
}

}  // namespace

SpanCuts SpanCuts::of(const SpanTable& table) {
  SpanCuts cuts{.starts = {}, .stream_size = table.stream_size()};
  cuts.starts.reserve(table.span_count());
  for (size_t span = 0; span < table.span_count(); ++span) cuts.starts.push_back(table.output(span).offset);
  return cuts;
}

bool is_cacheable(const SpanCuts& cuts) {
  if (cuts.count() > kMaxCachedSpans || (cuts.count() != 0 && cuts.starts[0] != 0)) return false;
  if (cuts.stream_size > INT64_MAX) return false;
  for (size_t span = 0; span < cuts.count(); ++span) {
    const uint64_t end = span + 1 < cuts.count() ? cuts.starts[span + 1] : cuts.stream_size;
    if (end <= cuts.starts[span] || end - cuts.starts[span] > kMaxCachedSpan) return false;
  }
  return true;
}

void write_map(int file, const LayerKey& key, const SpanCuts& cuts, const std::string& name) {
  Header header{};
  std::memcpy(header.magic, kMagic, sizeof header.magic);
  header.version = kVersion;
  header.kind = static_cast<uint32_t>(key.kind);
  header.spans = cuts.count();
  header.stream_size = cuts.stream_size;
  std::ranges::copy(key.layer.value, header.layer);
  std::ranges::copy(key.table.value, header.table);
  header.starts_crc = crc64(bytes_of(cuts.starts));
  header.crc = crc_of(header);
  pwrite_all(file, 0, std::as_bytes(std::span(&header, 1)), name);
  pwrite_all(file, kPage, bytes_of(cuts.starts), name);
  // Marks take their place on the disk now, not when it is full.
  pwrite_all(file, marks_offset(cuts.count()), bytes_of(std::vector<Mark>(cuts.count())), name);
}

LayerMap read_map(int file, const std::string& name) {
  const Header header = read_header(file, name);
  LayerMap map;
  map.key.kind = static_cast<TableKind>(header.kind);
  std::ranges::copy(header.layer, map.key.layer.value.begin());
  std::ranges::copy(header.table, map.key.table.value.begin());
  map.cuts.stream_size = header.stream_size;
  map.cuts.starts.resize(header.spans);
  pread_exactly(file, kPage, std::as_writable_bytes(std::span(map.cuts.starts)), name);
  if (crc64(bytes_of(map.cuts.starts)) != header.starts_crc || !is_cacheable(map.cuts))
    damaged(name, "its spans");
  std::vector<Mark> marks(header.spans);
  pread_exactly(file, marks_offset(header.spans), std::as_writable_bytes(std::span(marks)), name);
  map.marks.reserve(marks.size());
  for (const Mark& mark : marks)
    map.marks.push_back(mark.present == kPresent ? SpanMark(mark.checksum) : std::nullopt);
  return map;
}

void write_mark(int file, const SpanCuts& cuts, size_t span, SpanMark mark, const std::string& name) {
  Mark bytes{};
  if (mark) bytes = {*mark, kPresent};
  pwrite_all(file, marks_offset(cuts.count()) + span * sizeof(Mark), std::as_bytes(std::span(&bytes, 1)),
             name);
}

}  // namespace erofs_oci
