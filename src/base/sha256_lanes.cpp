// SPDX-License-Identifier: Apache-2.0
// Compiled for processors with SHA instructions (CMakeLists.txt): nothing but what asks for them first may
// run, and no template of the standard library may be used, since the linker would take it from here for all.
#include "base/sha256_lanes.h"

#ifdef __SHA__
#include <cpuid.h>
#include <immintrin.h>

namespace erofs_oci {
namespace {

// FIPS 180-4, 4.2.2.
alignas(16) constexpr uint32_t kRounds[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

/// One of the computations that go on side by side. The words of a state are kept as the instructions take
/// them.
struct Lane {
  __m128i abef, cdgh;
  __m128i message[4];  // the latest sixteen words of the schedule
  const std::byte* data;
};

[[gnu::always_inline]] inline void load(Lane& lane, const Sha256State& state, const std::byte* data) {
  const __m128i dcba = _mm_loadu_si128(reinterpret_cast<const __m128i*>(state));
  const __m128i hgfe = _mm_loadu_si128(reinterpret_cast<const __m128i*>(state + 4));
  const __m128i cdab = _mm_shuffle_epi32(dcba, 0xb1);
  const __m128i efgh = _mm_shuffle_epi32(hgfe, 0x1b);
  lane.abef = _mm_alignr_epi8(cdab, efgh, 8);
  lane.cdgh = _mm_blend_epi16(efgh, cdab, 0xf0);
  lane.data = data;
}

[[gnu::always_inline]] inline void store(const Lane& lane, Sha256State& state) {
  const __m128i feba = _mm_shuffle_epi32(lane.abef, 0x1b);
  const __m128i dchg = _mm_shuffle_epi32(lane.cdgh, 0xb1);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(state), _mm_blend_epi16(feba, dchg, 0xf0));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

/// Rounds 4·I to 4·I + 3.
template <int I>
[[gnu::always_inline]] inline void four_rounds(Lane& lane) {
  __m128i& now = lane.message[I % 4];
  if constexpr (I < 4) {
    const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    now = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(lane.data) + I), big_endian);
  } else {
    const __m128i& last = lane.message[(I + 3) % 4];
    const __m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(now, lane.message[(I + 1) % 4]),
                                      _mm_alignr_epi8(last, lane.message[(I + 2) % 4], 4));
    now = _mm_sha256msg2_epu32(sum, last);
  }
  const __m128i added = _mm_add_epi32(now, _mm_load_si128(reinterpret_cast<const __m128i*>(kRounds) + I));
  lane.cdgh = _mm_sha256rnds2_epu32(lane.cdgh, lane.abef, added);
  lane.abef = _mm_sha256rnds2_epu32(lane.abef, lane.cdgh, _mm_shuffle_epi32(added, 0x0e));
}

template <int I, typename... Lanes>
[[gnu::always_inline]] inline void rounds(Lanes&... lanes) {
  (four_rounds<I>(lanes), ...);
  if constexpr (I < 15) rounds<I + 1>(lanes...);
}

template <typename... Lanes>
[[gnu::always_inline]] inline void compress(size_t blocks, Lanes&... lanes) {
  for (; blocks > 0; --blocks) {
    const __m128i before[] = {lanes.abef..., lanes.cdgh...};
    rounds<0>(lanes...);
    const __m128i* former = before;
    ((lanes.abef = _mm_add_epi32(lanes.abef, *former++)), ...);
    ((lanes.cdgh = _mm_add_epi32(lanes.cdgh, *former++)), ...);
    ((lanes.data += 64), ...);
  }
}

}  // namespace

bool has_sha256_instructions() {
  constexpr unsigned kSha = 1u << 29;  // leaf 7, EBX
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  return __builtin_cpu_supports("avx") && __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 &&
         (ebx & kSha) != 0;
}

void sha256_compress(Sha256State& state, const std::byte* data, size_t blocks) {
  _mm256_zeroupper();
  Lane lane;
  load(lane, state, data);
  compress(blocks, lane);
  store(lane, state);
}

void sha256_compress_two(Sha256State& first, const std::byte* first_data, Sha256State& second,
                         const std::byte* second_data, size_t blocks) {
  // ISA-L leaves the upper halves of registers in use. The SHA instructions, which have no form that clears
  // them, would wait for one another then: at half the speed.
  _mm256_zeroupper();
  Lane one;
  Lane two;
  load(one, first, first_data);
  load(two, second, second_data);
  compress(blocks, one, two);
  store(one, first);
  store(two, second);
}

}  // namespace erofs_oci

#else

namespace erofs_oci {

bool has_sha256_instructions() {
  return false;
}
void sha256_compress(Sha256State&, const std::byte*, size_t) {}
void sha256_compress_two(Sha256State&, const std::byte*, Sha256State&, const std::byte*, size_t) {}

}  // namespace erofs_oci

#endif
