// SPDX-License-Identifier: Apache-2.0
#include "cache/layer_key.h"

#include <fmt/format.h>

namespace erofs_oci {
namespace {

/// Of a text (README.md), so that tables of two kinds never have one identity.
LayerKey key_of(TableKind kind, const Digest& layer, const std::string& text) {
  return {.kind = kind, .layer = layer, .table = sha256(as_bytes(text))};
}

}  // namespace

std::string_view to_string(TableKind kind) {
  switch (kind) {
    case TableKind::index:
      return "index";
    case TableKind::zinfo:
      return "zinfo";
    case TableKind::plain:
      break;
  }
  return "plain";
}

LayerKey LayerKey::of_index(const Digest& layer, const Digest& spans_part) {
  return key_of(TableKind::index, layer, "index " + to_string(spans_part));
}

LayerKey LayerKey::of_zinfo(const Digest& layer, const std::string& origin, const Digest& zinfo,
                            uint64_t stream_size) {
  return key_of(TableKind::zinfo, layer,
                fmt::format("zinfo {} {} {}", to_string(zinfo), stream_size, origin));
}

LayerKey LayerKey::of_plain(const Digest& layer, const std::string& origin, uint64_t span_size,
                            uint64_t stream_size) {
  return key_of(TableKind::plain, layer, fmt::format("plain {} {} {}", span_size, stream_size, origin));
}

std::optional<std::string> layer_of_file(const std::string& name) {
  constexpr size_t kLength = 64 + 1 + 64;
  const bool is_layers = name.size() > kLength && name[kLength] == '.' &&
                         name.find_first_not_of("0123456789abcdef-") == kLength;
  return is_layers ? std::optional(name.substr(0, kLength)) : std::nullopt;
}

Digest LayerKey::content() const {
  return sha256(as_bytes(file_name()));
}

}  // namespace erofs_oci
