// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/digest.h"

namespace erofs_oci {

/// What says how a layer is cut into spans, and so what its spans were compared with.
enum class TableKind : uint32_t {
  index = 1,  ///< an index of ours: every span with its SHA-256
  zinfo = 2,  ///< checkpoints from elsewhere: with neighbouring windows
  plain = 3,  ///< pieces of a layer that is stored as it is: with nothing
};
std::string_view to_string(TableKind kind);

/// Names cached spans: by the layer, and by the table that cut it. Layers that are equal are shared by all
/// images, but never over tables: what a digest stands behind is not mixed with what it does not. Where none
/// does, all that vouches for a span is whom it came from, so that is part of the name.
struct LayerKey {
  TableKind kind = TableKind::plain;
  Digest layer;  ///< of the blob
  Digest table;

  /// `spans_part`: the SHA-256 of the index's table of the layer's spans, which no other image changes.
  static LayerKey of_index(const Digest& layer, const Digest& spans_part);
  static LayerKey of_zinfo(const Digest& layer, const std::string& origin, const Digest& zinfo,
                           uint64_t stream_size);
  static LayerKey of_plain(const Digest& layer, const std::string& origin, uint64_t span_size,
                           uint64_t stream_size);

  /// Of layer and table together.
  Digest content() const;
  /// "HEX-HEX", the layer's digest first.
  std::string file_name() const { return layer.hex() + "-" + table.hex(); }
  friend bool operator==(const LayerKey&, const LayerKey&) = default;
};

/// Of a file's name, what file_name() of its layer is; none where it is no layer's file.
std::optional<std::string> layer_of_file(const std::string& name);

}  // namespace erofs_oci
