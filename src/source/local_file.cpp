// SPDX-License-Identifier: Apache-2.0
#include "source/local_file.h"

#include "base/file.h"

namespace erofs_oci {

LocalFile::LocalFile(UniqueFd file, std::string name, WorkerPool& workers)
    : file_(std::move(file)),
      name_(std::move(name)),
      workers_(workers),
      size_bytes_(static_cast<uint64_t>(stat_fd(file_.get(), name_).st_size)) {}

void LocalFile::read(ByteRange range, MutableBytes out, Priority priority, RangeDone done) {
  workers_.post(priority, [this, range, out, done = std::move(done)] {
    std::optional<Error> error;
    try {
      pread_exactly(file_.get(), range.offset, out, name_);
    } catch (const Error& failure) {
      error = failure;
    }
    done(std::move(error));
  });
}

}  // namespace erofs_oci
