// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <map>
#include <memory>

#include "base/mutex.h"
#include "cache/disk_cache.h"
#include "daemon/image.h"
#include "daemon/open_input.h"
#include "daemon/source_opener.h"
#include "daemon/store.h"

namespace erofs_oci {

/// Builds indexes in processes of their own, which leave processor and disk to others and take nothing with
/// them when they crash. Those who want the same index at a time wait for one build; where who began it leaves, another
/// begins it anew. Thread-safe.
class IndexWorkers {
 public:
  /// Workers share the store at `state_dir`, and listen in folders made in `runtime_folder`.
  /// What they decode goes to `cache`, which may be null.
  IndexWorkers(std::filesystem::path state_dir, std::filesystem::path runtime_folder, DiskCache* cache)
      : state_dir_(std::move(state_dir)), runtime_folder_(std::move(runtime_folder)), cache_(cache) {}

  /// build() of this object, which outlives it.
  IndexBuild as_build() {
    return [this](const OpenInput& input, Image& image, const IndexKey& key, const StageSink& stage) {
      build(input, image, key, stage);
    };
  }
  /// Returns when the index is in the store. Throws the Error that its build ended with.
  void build(const OpenInput& input, const Image& image, const IndexKey& key, const StageSink& stage);

 private:
  struct Build;

  std::shared_ptr<Build> join(const IndexKey& key, bool& is_first);
  void run(const OpenInput& input, const Image& image, const IndexKey& key, const StageSink& stage);
  void finish(const IndexKey& key, Build& build, std::optional<Error> error);
  void lead(Build& build, const OpenInput& input, const Image& image, const IndexKey& key, const StageSink& stage);
  static bool wait_for(Build& build, const OpenInput& input, const StageSink& stage);

  const std::filesystem::path state_dir_;
  const std::filesystem::path runtime_folder_;
  DiskCache* const cache_;
  Mutex mutex_;
  std::map<IndexKey, std::shared_ptr<Build>> builds_ GUARDED_BY(mutex_);
};

}  // namespace erofs_oci
