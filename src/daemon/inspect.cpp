// SPDX-License-Identifier: Apache-2.0
#include "daemon/inspect.h"

#include <sys/stat.h>

#include "base/file.h"
#include "base/text.h"
#include "daemon/image_config.h"

namespace erofs_oci {
namespace {

using registry::LayerFormat;

/// What others wrote goes to a terminal in the end.
std::optional<std::string> unless_empty(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional(printable(text));
}

/// `entries`: where decoding can begin, as far as it is known.
LayerAccess access_of(LayerFormat format, const std::optional<uint64_t>& entries) {
  switch (format) {
    case LayerFormat::tar:
      return LayerAccess::anywhere;
    case LayerFormat::tar_gzip:
      return LayerAccess::with_index;
    case LayerFormat::tar_zstd:
      return entries == 1u ? LayerAccess::whole : LayerAccess::at_frames;
    case LayerFormat::erofs:
      return LayerAccess::as_it_is;
    case LayerFormat::unknown:
      break;
  }
  return LayerAccess::no;
}

/// Media types are not always true; who made the index has seen the layer.
LayerFormat format_of(StreamFormat format) {
  switch (format) {
    case StreamFormat::gzip:
      return LayerFormat::tar_gzip;
    case StreamFormat::zstd:
      return LayerFormat::tar_zstd;
    case StreamFormat::plain:
      break;
  }
  return LayerFormat::tar;
}

std::vector<InspectedLayer> layers_of(const Image& image) {
  std::vector<InspectedLayer> layers;
  for (size_t i = 0; i < image.layers().size(); ++i) {
    const registry::Descriptor& descriptor = image.layers()[i];
    InspectedLayer layer;
    layer.number = i;
    layer.digest = image.layer_digest(i);
    if (image.digest()) layer.media_type = unless_empty(descriptor.media_type);
    layer.size_bytes = descriptor.size_bytes;
    layer.format = to_string(descriptor.format());
    layer.access = access_of(descriptor.format(), std::nullopt);
    layers.push_back(std::move(layer));
  }
  return layers;
}

void add_what_is_indexed(InspectedLayer& layer, const ImageIndex& index, size_t number) {
  const IndexedLayer& indexed = index.identity().layers[number];
  layer.spans = index.spans(number).size();
  layer.stream_size_bytes = indexed.stream_size;
  layer.format = to_string(format_of(indexed.format));
  layer.access = access_of(format_of(indexed.format), entry_points(index.spans(number)));
}

/// Notes the index of `key`, where the store has it and it is of these layers.
void add_index(InspectReply& reply, const IndexKey& key, Store& store) {
  const auto index = store.has_index(key) ? store.find_index(key) : nullptr;
  const size_t first = key.layer.value_or(0);
  const size_t expected = key.layer ? 1 : reply.layers.size();
  if (!index || index->identity().layers.size() != expected) return;
  InspectedIndex found;
  found.layer = key.layer;
  found.identity = to_string(index->digest());
  found.size_bytes = static_cast<uint64_t>(stat_fd(index->file(), index->name()).st_size);
  for (size_t i = 0; i < expected; ++i) {
    found.spans += index->spans(i).size();
    add_what_is_indexed(reply.layers[first + i], *index, i);
  }
  reply.indexes.push_back(std::move(found));
}

}  // namespace

InspectReply inspect(const OpenInput& input, const ImageAccess& access, const StageSink& stage) {
  const auto image = open_image(input, access, stage);
  const std::stop_callback stopping(input.stop, [&] { image->give_up(given_up()); });
  const ImageConfig configuration(image->config());
  InspectReply reply;
  reply.image = image->name();
  reply.digest = image->digest();
  reply.media_type = unless_empty(image->media_type());
  const auto own = configuration.platform();
  reply.platform = unless_empty(own ? to_string(*own) : image->platform());
  reply.created = unless_empty(configuration.created());
  reply.layers = layers_of(*image);
  for (uint32_t i = 0; i < reply.layers.size(); ++i) add_index(reply, {image->index_key(), i}, access.store);
  add_index(reply, {image->index_key(), std::nullopt}, access.store);
  return reply;
}

}  // namespace erofs_oci
