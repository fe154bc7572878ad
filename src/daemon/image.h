// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/range_reader.h"
#include "config/definition.h"
#include "registry/blob.h"
#include "registry/manifest.h"

namespace erofs_oci {

/// The most that an image's configuration may have.
constexpr uint64_t kMaxConfig = 8 * kMiB;

/// A layer's blob; `of_registry` is the same blob where it lies in a registry, and `origin` whom it is taken from, as
/// LayerKey has it.
struct LayerBlob {
  std::shared_ptr<RangeReader> blob;
  std::shared_ptr<registry::Blob> of_registry;
  std::string origin;
};

/// An image whose manifest is known: where its layers' bytes come from. One thread at a time, but for give_up().
class Image {
 public:
  virtual ~Image() = default;

  /// For messages: as the definition names it.
  virtual std::string name() const = 0;
  /// Of the manifest; none for an archive by itself.
  virtual std::optional<Digest> digest() const = 0;
  /// The manifest's own media type; "" where nothing says it.
  virtual std::string media_type() const = 0;
  /// What its index is kept under: the manifest's digest, or where there is none, what stands for it.
  virtual Digest index_key() const { return *digest(); }
  /// "linux/amd64"; "" where nothing says it.
  virtual std::string platform() const = 0;
  virtual const std::vector<registry::Descriptor>& layers() const = 0;
  /// None where nothing says it, and then the layer's descriptor has none either.
  virtual std::optional<Digest> layer_digest(size_t number) const { return layers()[number].digest; }

  /// Whether the layer's place is asked before its first read.
  enum class Preflight { ask, assume };
  virtual LayerBlob open_layer(size_t number, Preflight preflight) = 0;
  /// The image's configuration (OCI image-spec, config.md), verified; "" where it has none.
  virtual std::string config() = 0;
  /// The digests of the layers' streams, which the configuration states; empty where there is none.
  std::vector<Digest> diff_ids();
  /// Fails what the functions above, and the blobs they opened, wait for, at present and later. Thread-safe.
  virtual void give_up(const Error& reason) = 0;
};

/// The definition's, or this host's.
registry::Platform wanted_platform(const Definition& definition);

/// What opening ends with when the daemon is told to stop, or its client leaves.
Error given_up();

}  // namespace erofs_oci
