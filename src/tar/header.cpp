// SPDX-License-Identifier: Apache-2.0
#include "tar/header.h"

#include <cassert>

namespace erofs_oci {
namespace {

/// Places of fields in the block (POSIX.1-2017, pax, "ustar Interchange Format").
struct Field {
  size_t offset;
  size_t size;
};
constexpr Field kName{0, 100};
constexpr Field kSize{124, 12};
constexpr Field kChecksum{148, 8};
constexpr Field kType{156, 1};
constexpr Field kMagic{257, 6};
constexpr Field kPrefix{345, 155};

Bytes field(Bytes block, Field place) { return block.subspan(place.offset, place.size); }

std::string_view text(Bytes block, Field place) {
  const std::string_view all = as_text(field(block, place));
  return all.substr(0, all.find('\0'));
}

/// The sum of all bytes with the checksum field taken as spaces; old writers summed signed bytes.
bool checksum_is_right(Bytes block) {
  const auto stated = parse_tar_number(field(block, kChecksum));
  if (!stated) return false;
  int64_t sum = 0;
  int64_t signed_sum = 0;
  for (size_t i = 0; i < block.size(); ++i) {
    const bool inside = i >= kChecksum.offset && i < kChecksum.offset + kChecksum.size;
    const int value = inside ? ' ' : std::to_integer<int>(block[i]);
    sum += value;
    signed_sum += static_cast<signed char>(value);
  }
  return static_cast<int64_t>(*stated) == sum || static_cast<int64_t>(*stated) == signed_sum;
}

std::optional<uint64_t> parse_base256(Bytes field) {
  if ((std::to_integer<unsigned>(field[0]) & 0x40) != 0) return std::nullopt;  // negative
  uint64_t value = std::to_integer<uint64_t>(field[0]) & 0x3f;
  for (const std::byte byte : field.subspan(1)) {
    if (value >> 56 != 0) return std::nullopt;
    value = value << 8 | std::to_integer<uint64_t>(byte);
  }
  return value;
}

std::optional<uint64_t> parse_octal(Bytes field) {
  uint64_t value = 0;
  bool any = false;
  for (const std::byte byte : field) {
    const char c = static_cast<char>(byte);
    if (c == ' ' && !any) continue;
    if (c == ' ' || c == '\0') break;
    if (c < '0' || c > '7' || value >> 61 != 0) return std::nullopt;
    value = value << 3 | static_cast<uint64_t>(c - '0');
    any = true;
  }
  return value;
}

}  // namespace

std::optional<uint64_t> parse_tar_number(Bytes field) {
  assert(!field.empty());
  if ((std::to_integer<unsigned>(field[0]) & 0x80) != 0) return parse_base256(field);
  return parse_octal(field);
}

std::optional<TarHeader> parse_tar_header(Bytes block) {
  assert(block.size() == kTarBlock);
  if (!checksum_is_right(block)) return std::nullopt;
  const auto size = parse_tar_number(field(block, kSize));
  if (!size) return std::nullopt;
  TarHeader header;
  header.size = *size;
  const char type = static_cast<char>(block[kType.offset]);
  header.type = type == '\0' ? '0' : type;
  const std::string_view name = text(block, kName);
  header.path_may_be_cut = name.size() == kName.size;
  const bool posix = as_text(field(block, kMagic)) == std::string_view("ustar\0", 6);
  const std::string_view prefix = posix ? text(block, kPrefix) : std::string_view();
  if (!prefix.empty()) header.path = std::string(prefix) + "/";
  header.path += name;
  return header;
}

}  // namespace erofs_oci
