// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "config/definition.h"
#include "daemon/mount_health.h"
#include "daemon/store.h"
#include "gzip/zinfo.h"
#include "http/engine.h"
#include "registry/blob.h"
#include "registry/credentials.h"
#include "source/mapped_device.h"

namespace erofs_oci {

/// What a source is opened from: the definition, and what the client opened or read with its own rights.
struct OpenInput {
  Definition definition;
  UniqueFd image;     ///< of image = "file:…"
  UniqueFd tarindex;
  UniqueFd zinfo;
  std::optional<std::string> ca_pem;
  std::optional<registry::Credentials> credentials;
  /// Open exactly this image, from what the store knows of it: after a restart the registry need not be there.
  std::optional<Digest> pinned;
  std::shared_ptr<MountHealth> health;
  std::stop_token stop;  ///< give up, with Error unavailable
};

/// A device and what it is made of.
struct OpenedSource {
  std::shared_ptr<MappedDevice> device;
  std::optional<Digest> image_digest;
  std::optional<std::string> index_identity;
  Integrity integrity = Integrity::unverified;
  std::vector<std::shared_ptr<registry::Blob>> blobs;
};

/// Told what is being done: "resolving", "checking the index".
using StageSink = std::function<void(const std::string& stage)>;

/// Turns definitions into devices: resolves the image, opens the layer and the index files and checks that they belong
/// together, so that what is wrong is refused at start, in words. Thread-safe.
class SourceOpener {
 public:
  SourceOpener(http::Engine& engine, SpanLoader& loader, WorkerPool& workers, Store& store)
      : engine_(engine), loader_(loader), workers_(workers), store_(store) {}

  /// Blocks for as long as the registry takes, start_timeout at most. Throws Error.
  OpenedSource open(OpenInput input, const StageSink& stage);

 private:
  struct Layer;
  struct IndexFiles;

  Layer open_layer(OpenInput& input, const StageSink& stage);
  Layer open_registry_layer(const OpenInput& input, const StageSink& stage);
  registry::ResolvedImage resolve(const OpenInput& input, registry::Repository& repository,
                                  const registry::Reference& reference);
  IndexFiles keep_index_files(const OpenInput& input);
  DeviceParts assemble_image(const Layer& layer, const IndexFiles& index);
  DeviceParts assemble_tarindex(const Layer& layer, const IndexFiles& index);
  std::unique_ptr<const SpanTable> archive_spans(const Layer& layer, const IndexFiles& index, uint64_t archive_size);
  static Zinfo open_zinfo(const Layer& layer, const IndexFiles& index);
  static uint64_t measure(const Layer& layer, const Zinfo& zinfo);
  void check_binding(const OpenInput& input, const Layer& layer, const IndexFiles& index, const DeviceParts& parts,
                     const StageSink& stage);
  void check_samples(const IndexFiles& index, const DeviceParts& parts);
  uint32_t check_super(const Layer& layer, const DeviceParts& parts);

  http::Engine& engine_;
  SpanLoader& loader_;
  WorkerPool& workers_;
  Store& store_;
};

}  // namespace erofs_oci
