// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/byte_range.h"
#include "base/bytes.h"
#include "base/unique_fd.h"

namespace erofs_oci {

/// How far back a deflate stream may refer (RFC 1951, 3.2.5).
constexpr size_t kWindowSize = 32768;

/// A place where a gzip file can be entered. See README.md for the fields.
struct Checkpoint {
  uint64_t in = 0;
  uint64_t out = 0;
  uint8_t bits = 0;
  bool at_gzip_header = false;  ///< `in` is the start of a member's header, not of deflate data
};

/// The checkpoints of one gzip blob from a zinfo file. The windows stay in the file, which the object owns.
/// Immutable, thread-safe.
class Zinfo {
 public:
  /// Reads and checks the table of `file` against a blob of `blob_size` bytes. Throws Error corrupt, naming `name`.
  Zinfo(UniqueFd file, std::string name, uint64_t blob_size);

  size_t span_count() const { return checkpoints_.size(); }
  const Checkpoint& checkpoint(size_t span) const { return checkpoints_[span]; }
  uint64_t blob_size() const { return blob_size_; }
  const std::string& name() const { return name_; }

  /// The blob's bytes that span `span` is decoded from.
  ByteRange compressed_range(size_t span) const;
  /// Fills `window`, kWindowSize bytes, with the output before span `span`.
  void read_window(size_t span, MutableBytes window) const;

 private:
  void add_entries(uint64_t count, uint64_t file_size);
  void check_entry(size_t index) const;

  UniqueFd file_;
  std::string name_;
  uint64_t blob_size_;
  bool first_implied_ = false;
  std::vector<Checkpoint> checkpoints_;
};

}  // namespace erofs_oci
