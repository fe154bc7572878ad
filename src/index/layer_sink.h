// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "base/digest.h"
#include "index/layer_scan.h"

namespace erofs_oci {

/// Takes what a layer decodes to while it is indexed, so that nobody has to fetch and decode that again. Used
/// by one thread. What it cannot take it leaves: nothing here fails a build.
class LayerSink {
 public:
  virtual ~LayerSink() = default;
  /// The next bytes of the stream.
  virtual void output(Bytes bytes) = 0;
  /// A span ends here.
  virtual void end_span() = 0;
  /// The layer is what its image says, and is in the index as this: `spans_part` is
  /// ImageIndex::spans_digest(). Spans that `scan` does not have were empty ones at the end. Without this
  /// call nothing of it is to be used.
  virtual void finish(const LayerScan& scan, const Digest& spans_part) = 0;
};

/// Makes the sink of a layer, by the digest that its image says; null where nobody wants it. Called on any
/// thread.
using LayerSinks = std::function<std::unique_ptr<LayerSink>(const Digest& layer)>;

}  // namespace erofs_oci
