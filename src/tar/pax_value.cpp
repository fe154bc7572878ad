// SPDX-License-Identifier: Apache-2.0
#include "tar/pax_value.h"

#include <algorithm>
#include <charconv>
#include <limits>

namespace erofs_oci {
namespace {

constexpr uint32_t kNanosecond = 1'000'000'000;

/// The nanoseconds of the digits behind the point, rounded up or down; nullopt where there are other
/// characters.
std::optional<uint32_t> parse_fraction(std::string_view digits, bool up) {
  uint32_t value = 0;
  uint32_t unit = kNanosecond / 10;
  bool rest = false;
  for (const char c : digits) {
    if (c < '0' || c > '9') return std::nullopt;
    value += static_cast<uint32_t>(c - '0') * unit;
    rest = rest || (unit == 0 && c != '0');
    unit /= 10;
  }
  return value + (up && rest ? 1 : 0);
}

int base64_digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  return c == '/' ? 63 : -1;
}

}  // namespace

std::optional<TarTime> parse_pax_time(std::string_view text) {
  const std::string_view whole = text.substr(0, text.find('.'));
  TarTime time;
  const auto [rest, error] = std::from_chars(whole.data(), whole.data() + whole.size(), time.seconds);
  if (error != std::errc{} || rest != whole.data() + whole.size()) return std::nullopt;
  const bool negative = whole.starts_with('-');
  const auto fraction = parse_fraction(text.substr(std::min(whole.size() + 1, text.size())), negative);
  if (!fraction) return std::nullopt;
  if (!negative || *fraction == 0) {
    time.nanoseconds = *fraction;
    return time;
  }
  if (time.seconds == std::numeric_limits<int64_t>::min()) return std::nullopt;
  return TarTime{time.seconds - 1, kNanosecond - *fraction};
}

std::optional<std::string> decode_base64(std::string_view text) {
  for (int padding = 0; padding < 2 && text.ends_with('='); ++padding) text.remove_suffix(1);
  if (text.size() % 4 == 1) return std::nullopt;
  std::string out;
  out.reserve(text.size() / 4 * 3 + 2);
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const int digit = base64_digit(c);
    if (digit < 0) return std::nullopt;
    bits = (bits << 6 | static_cast<uint32_t>(digit)) & 0xffff;
    count += 6;
    if (count < 8) continue;
    count -= 8;
    out += static_cast<char>(bits >> count & 0xff);
  }
  return out;
}

std::string decode_percent(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const std::string_view digits = text[i] == '%' ? text.substr(i + 1, 2) : std::string_view();
    unsigned value = 0;
    const auto [rest, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    const bool encoded = digits.size() == 2 && error == std::errc{} && rest == digits.data() + 2;
    out += encoded ? static_cast<char>(value) : text[i];
    if (encoded) i += 2;
  }
  return out;
}

}  // namespace erofs_oci
