// SPDX-License-Identifier: Apache-2.0
#include "source/stream.h"

#include <atomic>
#include <utility>

namespace erofs_oci {
namespace {

/// What no digest can be expected to be: a number, and zeros.
Digest unique_id() {
  static std::atomic<uint64_t> next{1};
  Digest id;
  store_le(id.value.data(), next++);
  return id;
}

}  // namespace

Stream::Stream(std::shared_ptr<RangeReader> stored_blob, std::unique_ptr<const SpanTable> table,
               const std::optional<Digest>& content, std::shared_ptr<SpanStore> span_store)
    : id(content ? *content : unique_id()),
      blob(std::move(stored_blob)),
      spans(std::move(table)),
      store(std::move(span_store)) {}

}  // namespace erofs_oci
