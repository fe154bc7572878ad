// SPDX-License-Identifier: Apache-2.0
#include "base/twin_sha256.h"

#include <algorithm>

namespace erofs_oci {
namespace {

// FIPS 180-4, 5.3.3.
constexpr Sha256State kStart = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

}  // namespace

void TwinSha256::Lane::reset() {
  std::ranges::copy(kStart, state);
  size = 0;
}

Bytes TwinSha256::Lane::fill(Bytes bytes) {
  if (rest_size() == 0) return bytes;
  const Bytes now = bytes.first(std::min(bytes.size(), kBlock - rest_size()));
  std::ranges::copy(now, rest.begin() + static_cast<ptrdiff_t>(rest_size()));
  size += now.size();
  if (rest_size() == 0) sha256_compress(state, rest.data(), 1);
  return bytes.subspan(now.size());
}

void TwinSha256::Lane::update(Bytes bytes) {
  bytes = fill(bytes);
  const size_t blocks = bytes.size() / kBlock;
  sha256_compress(state, bytes.data(), blocks);
  std::ranges::copy(bytes.subspan(blocks * kBlock), rest.begin());
  size += bytes.size();
}

/// Padding and length (FIPS 180-4, 5.1.1).
Digest TwinSha256::Lane::finish() {
  std::array<std::byte, 2 * kBlock> end{};
  end[0] = std::byte{0x80};
  const size_t length = (rest_size() < kBlock - 8 ? kBlock : 2 * kBlock) - rest_size();
  const uint64_t bits = size * 8;
  for (size_t i = 0; i < 8; ++i) end[length - 1 - i] = static_cast<std::byte>(bits >> (8 * i));
  update(Bytes(end).first(length));
  Digest digest;
  for (size_t i = 0; i < digest.value.size(); ++i)
    digest.value[i] = static_cast<std::byte>(state[i / 4] >> (24 - 8 * (i % 4)));
  reset();
  return digest;
}

TwinSha256::TwinSha256(bool by_instructions) : by_instructions_(by_instructions) {
  if (by_instructions_) return;
  portable_stream_.emplace();
  portable_piece_.emplace();
}

void TwinSha256::update(Bytes bytes) {
  if (!by_instructions_) {
    portable_stream_->update(bytes);
    portable_piece_->update(bytes);
    return;
  }
  const Bytes to_stream = stream_.fill(bytes);
  const Bytes to_piece = piece_.fill(bytes);
  const size_t together = std::min(to_stream.size(), to_piece.size()) / kBlock * kBlock;
  sha256_compress_two(stream_.state, to_stream.data(), piece_.state, to_piece.data(), together / kBlock);
  stream_.size += together;
  piece_.size += together;
  stream_.update(to_stream.subspan(together));
  piece_.update(to_piece.subspan(together));
}

Digest TwinSha256::finish_piece() {
  return by_instructions_ ? piece_.finish() : portable_piece_->finish();
}

Digest TwinSha256::finish() {
  finish_piece();
  return by_instructions_ ? stream_.finish() : portable_stream_->finish();
}

}  // namespace erofs_oci
