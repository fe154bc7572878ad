// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/reference.h"
#include "http/engine.h"
#include "registry/host_client.h"
#include "registry/hosts.h"
#include "registry/manifest.h"
#include "registry/platform.h"

namespace erofs_oci::registry {

/// An image as a registry has it at this moment.
struct ResolvedImage {
  Reference reference;  ///< as asked for
  Digest manifest_digest;
  std::string manifest_json;  ///< the bytes that the digest covers
  Manifest manifest;
  std::optional<Digest>
      index_digest;                  ///< of the index it was chosen from; none: the reference names an image
  std::optional<Platform> platform;  ///< as that index says
};

/// A repository of a registry: "registry.example.com/team/tools". Shared by those who read its blobs; must
/// not outlive the engine. Construction and destruction on any thread; all tasks run on the transfer thread,
/// and the repository must outlive them.
class Repository {
 public:
  /// `reference`'s tag and digest do not matter here.
  Repository(http::Engine& engine, Reference reference, AccessSettings settings);

  /// Resolves the tag or digest of `reference`, which must be of this repository; from an index it takes the
  /// image for `platform`. Retries until settings.retry.deadline. Error not_found: no such image, or none for
  /// the platform, and then says which there are; corrupt: digests differ; denied; unavailable; unsupported:
  /// not an image.
  ///
  /// A tag is resolved anew each time; pin the result by its manifest_digest.
  http::Task<ResolvedImage> resolve(Reference reference, Platform platform);

  /// The whole of a small blob (a configuration, an index file), verified. More than `limit` bytes is Error
  /// unsupported.
  http::Task<std::string> fetch_small_blob(Descriptor descriptor, uint64_t limit);

  /// Fails what the functions above and Blob::open wait for at present, and what they are called for later, with
  /// `reason`: a mount that is given up. Blobs that are open go on. Thread-safe.
  static void cancel(const std::shared_ptr<Repository>& repository, const Error& reason);

  /// For what is asked from now on. Thread-safe.
  static void set_credentials(const std::shared_ptr<Repository>& repository, std::optional<Credentials> credentials);

  /// One try at one of the hosts. For the readers of blobs.
  http::Task<Answer> get(const Get& get);
  /// Tries until it has a 2xx, as settings().retry says.
  http::Task<Answer> get_patiently(Get get);

  http::Engine& engine() const { return engine_; }
  /// Of what is done to open an image, as opposed to reading from it.
  const http::AbortGroup& opening() const { return opening_; }
  const AccessSettings& settings() const { return settings_; }
  /// "registry.example.com/team/tools"
  const std::string& name() const { return name_; }

 private:
  bool has_answered() const;

  struct Document {
    std::string text;
    std::string content_type;
    Digest digest;
  };
  http::Task<Document> fetch_manifest(const std::string& selector, const std::optional<Digest>& digest);
  static http::Task<void> run_cancel(std::shared_ptr<Repository> self, Error reason);
  static http::Task<void> run_set_credentials(std::shared_ptr<Repository> self, std::optional<Credentials> credentials);
  http::Task<ResolvedImage> resolve_parts(const Reference& reference, const Platform& platform);

  http::Engine& engine_;
  const std::string name_;
  const AccessSettings settings_;
  std::vector<std::unique_ptr<HostClient>> hosts_;
  http::AbortGroup opening_;
};

}  // namespace erofs_oci::registry
