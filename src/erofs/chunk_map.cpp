// SPDX-License-Identifier: Apache-2.0
#include "erofs/chunk_map.h"

#include <algorithm>
#include <bit>
#include <cassert>

#include "base/error.h"

namespace erofs_oci::erofs {
namespace {

/// 32 MiB of chunk indexes, for a file that only a damaged or hostile archive has so many pieces of.
constexpr uint64_t kMaxChunks = uint64_t{1} << 22;

/// Whether the file and the device go on behind `data` as they do in it.
bool continues(const FileData& data, const FileData& next) {
  return next.file_offset == data.file_offset + data.length && next.address == data.address + data.length;
}

/// The bits below the lowest bound inside the file at which data or a hole begins; 64 without such a bound.
int aligned_bits(const Node& file) {
  int bits = 64;
  const auto bound = [&](uint64_t offset) {
    if (offset != 0 && offset < file.size) bits = std::min(bits, std::countr_zero(offset));
  };
  for (size_t i = 0; i < file.data.size(); ++i) {
    const FileData& data = file.data[i];
    if (i == 0 || !continues(file.data[i - 1], data)) bound(data.file_offset);
    if (i + 1 == file.data.size() || !continues(data, file.data[i + 1]))
      bound(data.file_offset + data.length);
  }
  return bits;
}

}  // namespace

ChunkMap::ChunkMap(const Node& file, uint32_t block_size) : file_(file), block_size_(block_size) {
  assert(file.size > 0);
  const int block_bits = std::countr_zero(block_size);
  const int whole_file_bits = std::bit_width(file.size - 1);
  const int bits = aligned_bits(file);
  if (bits < block_bits) {
    throw make_error(ErrorKind::unsupported, "a hole in it does not begin and end at multiples of {} bytes",
                     block_size);
  }
  chunk_bits_ = std::clamp(std::min(bits, whole_file_bits), block_bits, block_bits + kChunkBitsMask);
  if (count() > kMaxChunks) {
    throw make_error(ErrorKind::unsupported, "it is sparse, and would need {} chunks of {} bytes", count(),
                     uint64_t{1} << chunk_bits_);
  }
  for (const FileData& data : file.data) check(data);
}

void ChunkMap::check(const FileData& data) const {
  assert(data.length > 0 && data.file_offset + data.length <= file_.size);
  if ((data.address - data.file_offset) % block_size_ != 0) {
    throw make_error(ErrorKind::unsupported, "its data at offset {} does not lie on blocks of {} bytes",
                     data.address, block_size_);
  }
  if ((data.address + data.length - 1) / block_size_ >= kNullAddress) {
    throw make_error(ErrorKind::unsupported, "its data at offset {} lies beyond 2^32 blocks of {} bytes",
                     data.address, block_size_);
  }
}

uint16_t ChunkMap::format() const {
  return static_cast<uint16_t>(kChunkIndexes | (chunk_bits_ - std::countr_zero(block_size_)));
}

void ChunkMap::for_each(const std::function<void(const ChunkIndex&)>& visit) const {
  auto data = file_.data.begin();
  for (uint64_t i = 0; i < count(); ++i) {
    const uint64_t offset = i << chunk_bits_;
    while (data != file_.data.end() && data->file_offset + data->length <= offset) ++data;
    if (data == file_.data.end() || data->file_offset > offset) {
      visit({.startblk_hi = UINT16_MAX, .device_id = UINT16_MAX, .startblk_lo = kNullAddress});
    } else {
      visit(index_at(data->address + (offset - data->file_offset)));
    }
  }
}

ChunkIndex ChunkMap::index_at(uint64_t address) const {
  return {.device_id = 1, .startblk_lo = static_cast<uint32_t>(address / block_size_)};
}

}  // namespace erofs_oci::erofs
