// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>

#include "base/digest.h"
#include "base/range_reader.h"
#include "source/span_store.h"
#include "source/span_table.h"

namespace erofs_oci {

/// A layer as a sequence of bytes: the stored blob, how its spans are decoded, and where they are kept.
/// Immutable; shared by a device and by loads under way that may outlive it.
struct Stream {
  /// `content` stands for the layer's digest and the table: streams that have the same share spans and
  /// fetches. Without one it shares with none. `span_store` may be null.
  Stream(std::shared_ptr<RangeReader> stored_blob, std::unique_ptr<const SpanTable> table,
         const std::optional<Digest>& content = std::nullopt,
         std::shared_ptr<SpanStore> span_store = nullptr);

  const Digest id;
  const std::shared_ptr<RangeReader> blob;
  const std::unique_ptr<const SpanTable> spans;
  const std::shared_ptr<SpanStore> store;  ///< shared with the streams of the same content
};

}  // namespace erofs_oci
