// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/range_reader.h"
#include "base/unique_fd.h"
#include "source/worker_pool.h"

namespace erofs_oci {

/// A local file as a blob; reads run on the pool. Immutable, thread-safe.
class LocalFile : public RangeReader {
 public:
  LocalFile(UniqueFd file, std::string name, WorkerPool& workers);

  uint64_t size_bytes() const override { return size_bytes_; }
  std::string name() const override { return name_; }
  void read(ByteRange range, MutableBytes out, Priority priority, RangeDone done) override;

 private:
  const UniqueFd file_;
  const std::string name_;
  WorkerPool& workers_;
  const uint64_t size_bytes_;
};

}  // namespace erofs_oci
