// SPDX-License-Identifier: Apache-2.0
#include "source/span_table.h"

#include "base/text.h"

namespace erofs_oci {

void check_digest(const SpanTable& spans, size_t span, const Digest& found) {
  const Digest* wanted = spans.digest(span);
  if (wanted == nullptr || *wanted == found) return;
  throw make_error(ErrorKind::corrupt,
                   "bytes {} of its stream differ from the digest that the index has of them",
                   to_string(spans.output(span)));
}

}  // namespace erofs_oci
