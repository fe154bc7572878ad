// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "gzip/checkpoint_inflater.h"

namespace erofs_oci {

/// Writes a zinfo of version 2 (README.md) while the checkpoints are found. One thread at a time.
class ZinfoWriter {
 public:
  /// `file` is empty, open for writing, and stays the caller's.
  ZinfoWriter(int file, std::string name, uint64_t span_size);

  void add(const SpanStart& span);
  /// Writes the header, so that the file is whole.
  void finish();

 private:
  const int file_;
  const std::string name_;
  const uint64_t span_size_;
  uint32_t count_ = 0;
};

}  // namespace erofs_oci
