// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/image.h"
#include "daemon/layer_assembler.h"
#include "daemon/open_input.h"
#include "daemon/store.h"
#include "http/engine.h"
#include "registry/blob.h"
#include "registry/credentials.h"
#include "source/mapped_device.h"
#include "source/patient_device.h"

namespace erofs_oci {

/// A device and what it is made of.
struct OpenedSource {
  std::shared_ptr<MappedDevice> device;
  std::shared_ptr<PatientDevice> served;  ///< the same, for transports: its reads outwait the source
  std::optional<Digest> image_digest;
  std::optional<std::string> index_identity;
  Integrity integrity = Integrity::unverified;
  std::vector<std::shared_ptr<registry::Blob>> blobs;
};

/// Makes the index of an image, or of one layer of it, appear in the store. Throws Error.
using IndexBuild =
    std::function<void(const OpenInput& input, Image& image, const IndexKey& key, const StageSink& stage)>;

/// Turns definitions into devices: resolves the image, opens the layer and the index files and checks that
/// they belong together, so that what is wrong is refused at start, in words. Thread-safe.
class SourceOpener {
 public:
  /// Bindings are kept under a mount's name behind `binding_prefix`: a command that serves a file by itself
  /// must not share those of the service. Spans are kept in `cache`, where there is one.
  SourceOpener(http::Engine& engine, SpanLoader& loader, WorkerPool& workers, Store& store, IndexBuild build,
               std::string binding_prefix = "", DiskCache* cache = nullptr)
      : engine_(engine),
        loader_(loader),
        workers_(workers),
        store_(store),
        build_(std::move(build)),
        cache_(cache),
        assembler_(loader, store, std::move(binding_prefix), cache) {}

  Store& store() const { return store_; }
  SpanLoader& loader() const { return loader_; }
  /// May be null.
  DiskCache* cache() const { return cache_; }

  /// Blocks for as long as the registry takes, start_timeout at most, and an index takes to be built. Throws
  /// Error, and FilesWanted as open_image() does.
  OpenedSource open(OpenInput input, const StageSink& stage);

  /// Applies the policy of `definition`, and these credentials, to what was opened.
  void apply_policy(const OpenedSource& opened, const Definition& definition,
                    const std::optional<registry::Credentials>& credentials);

 private:
  OpenedSource open_source(OpenInput& input, const StageSink& stage);
  std::shared_ptr<PatientDevice> make_patient(const OpenInput& input, const OpenedSource& opened) const;
  OpenedSource open_indexed(const OpenInput& input, Image& image, const StageSink& stage);
  std::shared_ptr<const ImageIndex> find_or_build(const OpenInput& input, Image& image, const IndexKey& key,
                                                  const StageSink& stage);
  std::shared_ptr<MappedDevice> make_device(DeviceParts parts, const OpenInput& input);
  void pin(const Definition& definition, const MappedDevice& device);
  OpenedSource open_layer(const OpenInput& input, const SingleLayer& layer, const StageSink& stage);
  SingleLayer local_layer(OpenInput& input, const std::string& path);
  SingleLayer image_layer(const OpenInput& input, Image& image) const;

  http::Engine& engine_;
  SpanLoader& loader_;
  WorkerPool& workers_;
  Store& store_;
  const IndexBuild build_;
  DiskCache* const cache_;
  LayerAssembler assembler_;
};

/// What a definition's [io] asks of its reads.
Patience patience_of(const IoSettings& io);

/// Of the whole image, or of the layer that the definition asks for.
IndexKey index_key(const Definition& definition, const Image& image);

}  // namespace erofs_oci
