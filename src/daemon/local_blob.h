// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/mutex.h"
#include "base/range_reader.h"

namespace erofs_oci {

/// Whether an image on local disk has been given up, and why; shared by the image and the blobs that it
/// opened. Thread-safe.
class GivenUp {
 public:
  void set(const Error& reason) {
    MutexLock lock(mutex_);
    reason_ = reason;
  }
  std::optional<Error> reason() const {
    MutexLock lock(mutex_);
    return reason_;
  }

 private:
  mutable Mutex mutex_;
  std::optional<Error> reason_ GUARDED_BY(mutex_);
};

/// A blob that is a part of a local file, or the whole of it. Its reads run on the file's threads; once the
/// image is given up they end with the reason. Thread-safe.
class LocalBlob : public RangeReader {
 public:
  /// `file` may be shared with blobs that are other parts of it; `part` lies inside.
  LocalBlob(std::shared_ptr<RangeReader> file, ByteRange part, std::string name,
            std::shared_ptr<const GivenUp> given_up)
      : file_(std::move(file)), part_(part), name_(std::move(name)), given_up_(std::move(given_up)) {}

  uint64_t size_bytes() const override { return part_.length; }
  std::string name() const override { return name_; }
  void read(ByteRange range, MutableBytes out, Priority priority, RangeDone done) override;

 private:
  const std::shared_ptr<RangeReader> file_;
  const ByteRange part_;
  const std::string name_;
  const std::shared_ptr<const GivenUp> given_up_;
};

}  // namespace erofs_oci
