// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

/// The bytes of an index file; README.md says what they mean.
namespace erofs_oci::index_format {

constexpr char kMagic[8] = {'E', 'R', 'O', 'F', 'S', 'O', 'C', 'I'};
constexpr uint32_t kVersion = 2;
constexpr uint64_t kAlignment = 4096;
constexpr uint32_t kMaxParts = 4096;
constexpr uint32_t kMaxLayers = 1000;
constexpr uint64_t kMaxIdentity = 4 << 20;
constexpr uint64_t kMaxTable = uint64_t{1} << 30;  // extents, or a layer's spans: readers have them in memory

enum class PartType : uint32_t { identity = 1, metadata = 2, extents = 3, spans = 4, windows = 5 };

struct [[gnu::packed]] Header {
  char magic[8];
  uint32_t version;
  uint32_t parts;
  uint64_t file_size;
};
static_assert(sizeof(Header) == 24);

struct [[gnu::packed]] Part {
  PartType type;
  uint32_t layer;
  uint64_t offset;
  uint64_t size;
  uint64_t zero;
  uint8_t digest[32];
};
static_assert(sizeof(Part) == 64);

constexpr unsigned kLengthBits = 48;
constexpr uint64_t kMaxLength = (uint64_t{1} << kLengthBits) - 1;

struct [[gnu::packed]] Extent {
  uint64_t device_offset;
  uint64_t stream_offset;
  uint64_t length_and_layer;
};
static_assert(sizeof(Extent) == 24);

struct [[gnu::packed]] Span {
  uint64_t in;
  uint64_t out;
  uint64_t checksum;
  uint32_t window_size;
  uint8_t bits;
  uint8_t zero[3];
  uint8_t digest[32];
};
static_assert(sizeof(Span) == 64);

/// A compressed window is never longer than this (ZSTD_compressBound of 32 KiB).
constexpr uint32_t kMaxWindow = 33 * 1024;

}  // namespace erofs_oci::index_format
