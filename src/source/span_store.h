// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <vector>

#include "base/bytes.h"
#include "source/span_cache.h"

namespace erofs_oci {

/// Where decoded spans of one stream are kept beyond memory and beyond the daemon's life. What it cannot do
/// it leaves undone: nothing here fails a read. Thread-safe.
class SpanStore {
 public:
  virtual ~SpanStore() = default;

  /// Whether load() is worth a try. Never waits for a disk.
  virtual bool has(size_t span) const = 0;
  /// Fills `out`, as long as the span, with what was kept; false where it is gone or is not what it was.
  /// Reads a local disk.
  virtual bool load(size_t span, MutableBytes out) = 0;
  /// Keeps a span, later, on another thread. Never waits for a disk.
  virtual void keep(size_t span, SpanRef bytes) = 0;
  /// Forgets a span that was found to be wrong. Writes to a local disk.
  virtual void drop(size_t span) = 0;
  /// Which spans are there, one element each.
  virtual std::vector<bool> kept() const = 0;
};

}  // namespace erofs_oci
