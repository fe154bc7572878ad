// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/digest.h"
#include "index/index_format.h"

namespace erofs_oci {

/// Writes an index file part by part (README.md). One thread at a time.
class IndexWriter {
 public:
  /// `file` is empty, open for reading and writing, and stays the caller's. `parts` is how many there will
  /// be.
  IndexWriter(int file, std::string name, uint32_t parts);

  /// What follows belongs to a new part.
  void begin(index_format::PartType type, uint32_t layer = 0);
  void write(Bytes bytes);
  /// The whole of another file.
  void write_file(int file, uint64_t size);

  /// Writes the header, so that the file is whole, and makes it durable. Returns the identity.
  Digest finish();

 private:
  void end_part();

  const int file_;
  const std::string name_;
  const uint32_t expected_;
  std::vector<index_format::Part> parts_;
  Sha256 hash_;
  uint64_t end_;
};

}  // namespace erofs_oci
