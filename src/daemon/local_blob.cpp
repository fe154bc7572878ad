// SPDX-License-Identifier: Apache-2.0
#include "daemon/local_blob.h"

namespace erofs_oci {

void LocalBlob::read(ByteRange range, MutableBytes out, Priority priority, RangeDone done) {
  const ByteRange in_file{part_.offset + range.offset, range.length};
  file_->read(in_file, out, priority,
              [given_up = given_up_, done = std::move(done)](std::optional<Error> error) {
                if (auto reason = given_up->reason()) error = std::move(reason);
                done(std::move(error));
              });
}

}  // namespace erofs_oci
