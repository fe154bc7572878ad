// SPDX-License-Identifier: Apache-2.0
#include "tar/header.h"

#include <algorithm>
#include <cassert>
#include <limits>

namespace erofs_oci {
namespace {

/// Places of fields in the block (POSIX.1-2017, pax, "ustar Interchange Format").
struct Field {
  size_t offset;
  size_t size;
};
constexpr Field kName{0, 100};
constexpr Field kMode{100, 8};
constexpr Field kUid{108, 8};
constexpr Field kGid{116, 8};
constexpr Field kSize{124, 12};
constexpr Field kMtime{136, 12};
constexpr Field kChecksum{148, 8};
constexpr Field kType{156, 1};
constexpr Field kLink{157, 100};
constexpr Field kMagic{257, 6};
constexpr Field kDeviceMajor{329, 8};
constexpr Field kDeviceMinor{337, 8};
constexpr Field kPrefix{345, 155};
/// GNU and star have times where POSIX has the prefix, or its end (GNU tar manual, "Basic Tar Format";
/// star(5)).
constexpr Field kGnuAccessTime{345, 12};
constexpr Field kGnuChangeTime{357, 12};
constexpr Field kStarPrefix{345, 131};
constexpr Field kStarTrailer{508, 4};

constexpr std::string_view kPosixMagic{"ustar\0", 6};
constexpr std::string_view kGnuMagic{"ustar ", 6};

Bytes field(Bytes block, Field place) {
  return block.subspan(place.offset, place.size);
}

std::string_view text(Bytes block, Field place) {
  const std::string_view all = as_text(field(block, place));
  return all.substr(0, all.find('\0'));
}

std::optional<int64_t> number(Bytes block, Field place) {
  return parse_tar_number(field(block, place));
}

int64_t sum_of(Bytes bytes) {
  int64_t sum = 0;
  for (const std::byte byte : bytes) sum += std::to_integer<int64_t>(byte);
  return sum;
}

int64_t signed_sum_of(Bytes bytes) {
  int64_t sum = 0;
  for (const std::byte byte : bytes) sum += static_cast<signed char>(byte);
  return sum;
}

/// The sum of all bytes with the checksum field taken as spaces; old writers summed signed bytes.
bool checksum_is_right(Bytes block) {
  const auto stated = number(block, kChecksum);
  if (!stated) return false;
  constexpr int64_t kSpaces = ' ' * static_cast<int64_t>(kChecksum.size);
  const Bytes before = block.first(kChecksum.offset);
  const Bytes after = block.subspan(kChecksum.offset + kChecksum.size);
  return *stated == sum_of(before) + kSpaces + sum_of(after) ||
         *stated == signed_sum_of(before) + kSpaces + signed_sum_of(after);
}

std::optional<int64_t> parse_base256(Bytes field) {
  // The bit below the mark is the sign; shifting it up and down again extends it.
  const auto first = static_cast<uint8_t>(std::to_integer<unsigned>(field[0]) << 1);
  int64_t value = static_cast<int8_t>(first) >> 1;
  for (const std::byte byte : field.subspan(1)) {
    constexpr int64_t kLimit = int64_t{1} << 55;
    if (value < -kLimit || value >= kLimit) return std::nullopt;
    value = value * 256 + std::to_integer<int64_t>(byte);
  }
  return value;
}

std::optional<int64_t> parse_octal(std::string_view field) {
  using namespace std::string_view_literals;
  const size_t begin = std::min(field.find_first_not_of(" \0"sv), field.size());
  const std::string_view digits = field.substr(begin, field.find_first_of(" \0"sv, begin) - begin);
  int64_t value = 0;
  for (const char c : digits) {
    if (c < '0' || c > '7' || value > std::numeric_limits<int64_t>::max() >> 3) return std::nullopt;
    value = value * 8 + (c - '0');
  }
  return value;
}

/// Go's archive/tar before 1.8 wrote a prefix under the GNU magic; where no times can be read, it is one.
std::string_view misplaced_prefix(Bytes block) {
  if (number(block, kGnuAccessTime) && number(block, kGnuChangeTime)) return {};
  const std::string_view prefix = text(block, kPrefix);
  const bool ascii = std::ranges::all_of(prefix, [](char c) { return static_cast<signed char>(c) >= 0; });
  return ascii ? prefix : std::string_view();
}

std::string_view prefix_of(Bytes block) {
  const std::string_view magic = as_text(field(block, kMagic));
  if (magic == kGnuMagic) return misplaced_prefix(block);
  if (magic != kPosixMagic) return {};
  const bool star = as_text(field(block, kStarTrailer)) == std::string_view("tar\0", 4);
  return text(block, star ? kStarPrefix : kPrefix);
}

std::string path_of(Bytes block) {
  const std::string_view prefix = prefix_of(block);
  const std::string_view name = text(block, kName);
  std::string path;
  path.reserve(prefix.size() + 1 + name.size());
  if (!prefix.empty()) path.append(prefix) += '/';
  return path.append(name);
}

}  // namespace

std::optional<int64_t> parse_tar_number(Bytes field) {
  assert(!field.empty());
  if ((std::to_integer<unsigned>(field[0]) & 0x80) != 0) return parse_base256(field);
  return parse_octal(as_text(field));
}

std::optional<TarHeader> parse_tar_header(Bytes block) {
  assert(block.size() == kTarBlock);
  if (!checksum_is_right(block)) return std::nullopt;
  const auto size = number(block, kSize);
  if (!size || *size < 0) return std::nullopt;
  const bool v7 = !as_text(field(block, kMagic)).starts_with("ustar");
  const char type = static_cast<char>(block[kType.offset]);
  TarHeader header;
  header.path = path_of(block);
  header.link = text(block, kLink);
  header.type = type == '\0' ? '0' : type;
  header.size = static_cast<uint64_t>(*size);
  header.mode = number(block, kMode);
  header.uid = number(block, kUid);
  header.gid = number(block, kGid);
  header.mtime = number(block, kMtime);
  header.device_major = v7 ? 0 : number(block, kDeviceMajor);
  header.device_minor = v7 ? 0 : number(block, kDeviceMinor);
  header.path_may_be_cut = text(block, kName).size() == kName.size;
  header.gnu = as_text(field(block, kMagic)) == kGnuMagic;
  return header;
}

}  // namespace erofs_oci
