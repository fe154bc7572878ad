// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/mutex.h"
#include "daemon/image.h"
#include "daemon/open_input.h"
#include "daemon/store.h"

namespace erofs_oci {

/// What this host has of an image, by its manifest's digest.
struct LocalKnowledge {
  std::function<bool(const Digest&)> may_go_offline;  ///< it can be opened: there is an index, say
  std::function<bool(const Digest&)> is_here;         ///< so it can, and all of its data is on disk
};

/// An image of a registry. The store remembers what a name led to, for when the registry is away.
class RegistryImage : public Image {
 public:
  /// Resolves what `input` names: pinned, from the store alone; likewise named by a digest, where all of it
  /// is here; else by the registry. Where that is away, and the image that the name led to last may go
  /// offline, it is that one, and `stage` is told. Throws Error.
  static std::unique_ptr<RegistryImage> resolve(const OpenInput& input, http::Engine& engine, Store& store,
                                                const StageSink& stage, const LocalKnowledge& local);

  std::string name() const override { return name_; }
  std::optional<Digest> digest() const override { return resolved_.manifest_digest; }
  std::string media_type() const override { return resolved_.manifest.media_type; }
  std::string platform() const override { return platform_; }
  const std::vector<registry::Descriptor>& layers() const override { return resolved_.manifest.layers; }
  LayerBlob open_layer(size_t number, Preflight preflight) override;
  std::string config() override;
  void give_up(const Error& reason) override;
  /// Whether the registry was not asked.
  bool is_offline() const { return offline_; }

 private:
  RegistryImage(const OpenInput& input, http::Engine& engine);

  bool load(const Digest& digest, Store& store);
  void ask(const OpenInput& input, Store& store, const StageSink& stage, const LocalKnowledge& local);

  http::Engine& engine_;
  const std::string name_;
  const Reference reference_;
  const registry::RetrySettings reading_;
  const std::string platform_;
  registry::AccessSettings access_;
  std::shared_ptr<registry::Repository> repository_;
  registry::ResolvedImage resolved_;
  bool offline_ = false;
  Mutex mutex_;
  std::optional<Error> given_up_ GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<registry::Blob>> opened_ GUARDED_BY(mutex_);
};

/// How the reads of a blob are retried before its mount takes the registry to be away.
registry::RetrySettings reading_settings(const IoSettings& io);

}  // namespace erofs_oci
