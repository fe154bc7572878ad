// SPDX-License-Identifier: Apache-2.0
#include "daemon/index_command.h"

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "daemon/index_build.h"
#include "daemon/source_opener.h"
#include "erofs/super_block.h"

namespace erofs_oci {
namespace {

constexpr uint64_t kTarindexSpan = 4 * kMiB;  // what mkfs.erofs takes

uint64_t size_of(const UniqueFd& file) {
  return file ? static_cast<uint64_t>(stat_fd(file.get(), "output").st_size) : 0;
}

IndexReply reply_of(const BuildReport& report) {
  IndexReply reply;
  reply.inodes = report.inodes;
  reply.metadata_bytes = report.metadata_size;
  reply.notes = report.notes;
  for (size_t i = 0; i < report.layers.size(); ++i) {
    const IndexedLayer& layer = report.layers[i];
    reply.layers.push_back({layer.digest, layer.diff_id, layer.blob_size, layer.stream_size,
                            std::string(to_string(layer.format)), report.spans[i], report.entry_points[i]});
  }
  return reply;
}

IndexReply reply_of(const ImageIndex& index) {
  IndexReply reply;
  reply.existed = true;
  std::vector<std::byte> start(std::min(erofs::kSuperBytes, index.metadata().size));
  pread_exactly(index.file(), index.metadata().offset, start, index.name());
  reply.inodes = erofs::parse_super(start, index.name()).inodes;
  reply.metadata_bytes = index.metadata().size;
  reply.index_bytes = static_cast<uint64_t>(stat_fd(index.file(), index.name()).st_size);
  for (size_t i = 0; i < index.identity().layers.size(); ++i) {
    const IndexedLayer& layer = index.identity().layers[i];
    reply.layers.push_back({layer.digest, layer.diff_id, layer.blob_size, layer.stream_size,
                            std::string(to_string(layer.format)), index.spans(i).size(), entry_points(index.spans(i))});
  }
  return reply;
}

/// The one layer that a tarindex can be of.
size_t only_layer(const Image& image, const IndexKey& key) {
  if (key.layer) return *key.layer;
  if (image.layers().size() == 1) return 0;
  throw make_error(ErrorKind::invalid, "{} has {} layers, and a tarindex is of one: choose it with --layer",
                   image.name(), image.layers().size());
}

IndexReply to_tarindex(Image& image, const IndexKey& key, const IndexRequest& request,
                       const IndexOutput& output, const BuildOptions& options) {
  const auto layers = layers_to_index(image, {only_layer(image, key)});
  return reply_of(
      build_tarindex(layers.front(), options,
                     {.tarindex = output.index.get(),
                      .zinfo = output.zinfo.get(),
                      .whiteouts = request.overlay_whiteouts ? Whiteouts::overlay : Whiteouts::keep}));
}

}  // namespace

IndexReply index_image(const ImageAccess& access, const OpenInput& input, const IndexRequest& request,
                       const IndexOutput& output, const StageSink& stage) {
  const auto image = open_image(input, access, stage);
  const std::stop_callback stopping(input.stop, [&] { image->give_up(given_up()); });
  const IndexKey key = index_key(input.definition, *image);
  const bool tarindex = request.format == IndexFormat::tarindex;
  BuildOptions options = build_options(access.store, stage);
  if (tarindex) options.span_size = kTarindexSpan;
  if (request.span_size != 0) options.span_size = request.span_size;
  IndexReply reply;
  if (tarindex) {
    reply = to_tarindex(*image, key, request, output, options);
  } else if (output.index) {
    reply = reply_of(build_image_index(image_to_index(*image, key), options, output.index.get(), "output"));
  } else if (const auto index = access.store.find_index(key)) {
    reply = reply_of(*index);
  } else {
    access.store.make_index(key, [&](int file, const std::string& name) {
      reply = reply_of(build_image_index(image_to_index(*image, key), options, file, name));
    });
    reply.index_bytes = access.store.index_size(key);
  }
  if (output.index) reply.index_bytes = size_of(output.index) + size_of(output.zinfo);
  reply.image_digest = image->digest();
  return reply;
}

}  // namespace erofs_oci
