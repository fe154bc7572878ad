// SPDX-License-Identifier: Apache-2.0
#include "erofs/xxh32.h"

#include <array>
#include <bit>

namespace erofs_oci::erofs {
namespace {

constexpr uint32_t kPrime1 = 0x9E3779B1;
constexpr uint32_t kPrime2 = 0x85EBCA77;
constexpr uint32_t kPrime3 = 0xC2B2AE3D;
constexpr uint32_t kPrime4 = 0x27D4EB2F;
constexpr uint32_t kPrime5 = 0x165667B1;

constexpr size_t kStripe = 16;

/// Takes whole stripes off the front of `data`.
uint32_t hash_stripes(Bytes& data, uint32_t seed) {
  std::array<uint32_t, 4> lanes{seed + kPrime1 + kPrime2, seed + kPrime2, seed, seed - kPrime1};
  for (; data.size() >= kStripe; data = data.subspan(kStripe)) {
    for (size_t i = 0; i < lanes.size(); ++i) {
      const auto input = load_le<uint32_t>(data.data() + 4 * i);
      lanes[i] = std::rotl(lanes[i] + input * kPrime2, 13) * kPrime1;
    }
  }
  return std::rotl(lanes[0], 1) + std::rotl(lanes[1], 7) + std::rotl(lanes[2], 12) + std::rotl(lanes[3], 18);
}

uint32_t mix(uint32_t hash) {
  hash = (hash ^ hash >> 15) * kPrime2;
  hash = (hash ^ hash >> 13) * kPrime3;
  return hash ^ hash >> 16;
}

}  // namespace

uint32_t xxh32(Bytes data, uint32_t seed) {
  const auto length = static_cast<uint32_t>(data.size());
  uint32_t hash = (data.size() >= kStripe ? hash_stripes(data, seed) : seed + kPrime5) + length;
  for (; data.size() >= 4; data = data.subspan(4)) {
    hash = std::rotl(hash + load_le<uint32_t>(data.data()) * kPrime3, 17) * kPrime4;
  }
  for (const std::byte byte : data) {
    hash = std::rotl(hash + std::to_integer<uint32_t>(byte) * kPrime5, 11) * kPrime1;
  }
  return mix(hash);
}

}  // namespace erofs_oci::erofs
