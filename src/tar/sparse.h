// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "tar/member.h"

namespace erofs_oci {

/// Where the stored data of a sparse file belong. They stand in the archive one after another, without gaps.
/// What does not fit together is Error corrupt.
class SparseMap {
 public:
  /// The next range of the file. Ranges are sorted and do not overlap; TarReader::kMaxSparseRanges at most.
  void add(uint64_t offset, uint64_t length);

  /// The ranges that are not empty, of a file of `size` bytes whose `stored` bytes of data begin at
  /// `archive_offset`.
  std::vector<TarData> place(uint64_t size, uint64_t stored, uint64_t archive_offset) &&;

  size_t count() const { return count_; }

 private:
  std::vector<TarData> ranges_;  // archive_offset counts from the first byte of data
  size_t count_ = 0;
  uint64_t end_ = 0;
  uint64_t stored_ = 0;
};

/// Sparse files of GNU tar's own format, type 'S' (GNU tar manual, "Sparse Formats", "Old GNU Format").
namespace old_gnu_sparse {
/// The file's size, holes included, of the header in `block`.
uint64_t real_size(Bytes block);
/// Adds the ranges of the header in `block`; true where an extension block follows it.
bool read_header(Bytes block, SparseMap& map);
/// Adds the ranges of an extension block; true where another one follows it.
bool read_extension(Bytes block, SparseMap& map);
}  // namespace old_gnu_sparse

/// "OFFSET,LENGTH,OFFSET,LENGTH…", the map of PAX sparse format 0.1.
SparseMap parse_sparse_list(std::string_view text);

/// The map of PAX sparse format 1.0, which stands before the data, padded to blocks: the number of ranges,
/// then each range's offset and length, all in decimal and with a newline behind.
class SparseMapReader {
 public:
  /// The next block; true once the map is complete.
  bool feed(Bytes block);
  SparseMap take() { return std::move(map_); }

 private:
  void take_number();
  bool complete() const { return numbers_ > 0 && map_.count() == expected_; }

  SparseMap map_;
  uint64_t expected_ = 0;
  uint64_t numbers_ = 0;
  uint64_t offset_ = 0;
  uint64_t value_ = 0;
  size_t digits_ = 0;
};

}  // namespace erofs_oci
