// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "cache/disk_cache.h"
#include "daemon/open_input.h"
#include "daemon/store.h"
#include "gzip/zinfo.h"
#include "registry/blob.h"
#include "source/mapped_device.h"
#include "source/span_loader.h"

namespace erofs_oci {

/// The bytes that a device of one layer is made of, whatever their index.
struct SingleLayer {
  std::shared_ptr<RangeReader> blob;
  registry::LayerFormat format = registry::LayerFormat::unknown;
  std::optional<Digest> digest;
  std::optional<Digest> image_digest;
  std::shared_ptr<registry::Blob> of_registry;
  std::string origin;  ///< as LayerBlob has it
};

struct AssembledLayer {
  DeviceParts parts;
  std::optional<std::string> index_identity;
};

/// Makes a device of one layer: as it is, or by a tarindex and a zinfo that were given, and checks that they
/// belong together. Thread-safe.
class LayerAssembler {
 public:
  /// Bindings are kept under a mount's name behind `binding_prefix`.
  LayerAssembler(SpanLoader& loader, Store& store, std::string binding_prefix, DiskCache* cache)
      : loader_(loader), store_(store), binding_prefix_(std::move(binding_prefix)), cache_(cache) {}

  /// Throws Error.
  AssembledLayer assemble(const OpenInput& input, const SingleLayer& layer, const StageSink& stage);

 private:
  struct IndexFiles;

  IndexFiles keep_index_files(const OpenInput& input);
  DeviceParts assemble_image(const OpenInput& input, const SingleLayer& layer, const IndexFiles& index);
  DeviceParts assemble_tarindex(const OpenInput& input, const SingleLayer& layer, const IndexFiles& index);
  std::shared_ptr<const Stream> stream(const OpenInput& input, const SingleLayer& layer,
                                       const IndexFiles& index, std::unique_ptr<const SpanTable> spans);
  std::unique_ptr<const SpanTable> archive_spans(const SingleLayer& layer, const IndexFiles& index,
                                                 uint64_t archive_size);
  static Zinfo open_zinfo(const SingleLayer& layer, const IndexFiles& index);
  std::optional<uint64_t> known_size(const OpenInput& input, const SingleLayer& layer, const IndexFiles& index);
  static uint64_t measure(const SingleLayer& layer, const Zinfo& zinfo);
  void check_binding(const OpenInput& input, const SingleLayer& layer, const IndexFiles& index,
                     const DeviceParts& parts, const StageSink& stage);
  void check_windows(const IndexFiles& index, const DeviceParts& parts);
  void check_samples(const IndexFiles& index, const DeviceParts& parts);
  uint32_t check_super(const SingleLayer& layer, const DeviceParts& parts);

  SpanLoader& loader_;
  Store& store_;
  const std::string binding_prefix_;
  DiskCache* const cache_;
};

}  // namespace erofs_oci
