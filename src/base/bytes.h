// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace erofs_oci {

static_assert(std::endian::native == std::endian::little, "only little-endian hosts are supported");

using Bytes = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;

constexpr uint64_t kKiB = 1024;
constexpr uint64_t kMiB = 1024 * kKiB;
constexpr uint64_t kGiB = 1024 * kMiB;

inline Bytes as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
inline std::string_view as_text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Reads a little-endian integer from unaligned bytes; the caller has checked the length.
template <typename T>
T load_le(const void* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

template <typename T>
T byte_swap(T value) {
  if constexpr (sizeof(T) == 2) return static_cast<T>(__builtin_bswap16(static_cast<uint16_t>(value)));
  if constexpr (sizeof(T) == 4) return static_cast<T>(__builtin_bswap32(static_cast<uint32_t>(value)));
  if constexpr (sizeof(T) == 8) return static_cast<T>(__builtin_bswap64(static_cast<uint64_t>(value)));
}

/// Reads a big-endian integer from unaligned bytes; the caller has checked the length.
template <typename T>
T load_be(const void* from) {
  return byte_swap(load_le<T>(from));
}

template <typename T>
void store_le(void* to, T value) {
  std::memcpy(to, &value, sizeof value);
}

template <typename T>
void store_be(void* to, T value) {
  store_le(to, byte_swap(value));
}

constexpr uint64_t round_up(uint64_t value, uint64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}
constexpr uint64_t round_down(uint64_t value, uint64_t multiple) { return value / multiple * multiple; }

}  // namespace erofs_oci
