// SPDX-License-Identifier: Apache-2.0
#include "tar/sparse.h"

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "base/text.h"
#include "tar/header.h"
#include "tar/reader.h"

namespace erofs_oci {
namespace {

constexpr uint64_t kMaxSize = std::numeric_limits<int64_t>::max();

[[noreturn]] void refuse(const std::string& reason) {
  throw make_error(ErrorKind::corrupt, "its map of sparse ranges is damaged: {}", reason);
}

/// Old GNU ranges: two numbers of 12 bytes each.
constexpr size_t kNumberSize = 12;
constexpr size_t kRangeSize = 2 * kNumberSize;
constexpr size_t kHeaderRanges = 386;
constexpr size_t kHeaderRangeCount = 4;
constexpr size_t kHeaderExtended = 482;
constexpr size_t kHeaderRealSize = 483;
constexpr size_t kExtensionRangeCount = 21;
constexpr size_t kExtensionExtended = 504;

uint64_t number_at(Bytes block, size_t offset) {
  const auto value = parse_tar_number(block.subspan(offset, kNumberSize));
  if (!value || *value < 0) refuse("a number cannot be read");
  return static_cast<uint64_t>(*value);
}

/// A range that is not used begins with NUL; GNU tar and Go stop there too.
void add_ranges(Bytes block, size_t offset, size_t count, SparseMap& map) {
  for (size_t i = 0; i < count; ++i, offset += kRangeSize) {
    if (block[offset] == std::byte{0}) return;
    map.add(number_at(block, offset), number_at(block, offset + kNumberSize));
  }
}

uint64_t list_number(std::string_view text) {
  const auto value = parse_u64(text);
  if (!value || *value > kMaxSize) refuse(fmt::format("'{}' is no offset or length", printable(text, 30)));
  return *value;
}

std::string_view next_item(std::string_view& text) {
  const std::string_view item = text.substr(0, text.find(','));
  text.remove_prefix(std::min(item.size() + 1, text.size()));
  return item;
}

}  // namespace

void SparseMap::add(uint64_t offset, uint64_t length) {
  if (++count_ > TarReader::kMaxSparseRanges) {
    throw make_error(ErrorKind::unsupported, "it has more than {} sparse ranges; store it without holes",
                     TarReader::kMaxSparseRanges);
  }
  if (offset < end_)
    refuse(fmt::format("the range at {} begins before {}, the end of the one before", offset, end_));
  if (offset > kMaxSize || length > kMaxSize - offset)
    refuse(fmt::format("the range at {} is too long", offset));
  if (length > 0) ranges_.push_back({offset, stored_, length});
  end_ = offset + length;
  stored_ += length;
}

std::vector<TarData> SparseMap::place(uint64_t size, uint64_t stored, uint64_t archive_offset) && {
  if (end_ > size) refuse(fmt::format("it reaches to {} in a file of {} bytes", end_, size));
  if (stored_ != stored) refuse(fmt::format("it has {} bytes of data, the archive {}", stored_, stored));
  for (TarData& range : ranges_) range.archive_offset += archive_offset;
  return std::move(ranges_);
}

namespace old_gnu_sparse {

uint64_t real_size(Bytes block) {
  return number_at(block, kHeaderRealSize);
}

bool read_header(Bytes block, SparseMap& map) {
  add_ranges(block, kHeaderRanges, kHeaderRangeCount, map);
  return block[kHeaderExtended] != std::byte{0};
}

bool read_extension(Bytes block, SparseMap& map) {
  add_ranges(block, 0, kExtensionRangeCount, map);
  return block[kExtensionExtended] != std::byte{0};
}

}  // namespace old_gnu_sparse

SparseMap parse_sparse_list(std::string_view text) {
  SparseMap map;
  while (!text.empty()) {
    const uint64_t offset = list_number(next_item(text));
    map.add(offset, list_number(next_item(text)));
  }
  return map;
}

bool SparseMapReader::feed(Bytes block) {
  for (const char c : as_text(block)) {
    if (complete()) return true;
    if (c == '\n') {
      take_number();
    } else if (c < '0' || c > '9' || ++digits_ > 19) {  // 2^63 has 19 digits
      refuse("it holds something else than numbers");
    } else {
      value_ = value_ * 10 + static_cast<uint64_t>(c - '0');
    }
  }
  return complete();
}

void SparseMapReader::take_number() {
  if (digits_ == 0) refuse("a number is missing");
  if (numbers_ == 0) {
    expected_ = value_;
  } else if (numbers_ % 2 == 1) {
    offset_ = value_;
  } else {
    map_.add(offset_, value_);
  }
  ++numbers_;
  value_ = 0;
  digits_ = 0;
}

}  // namespace erofs_oci
