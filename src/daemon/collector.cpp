// SPDX-License-Identifier: Apache-2.0
#include "daemon/collector.h"

#include <algorithm>
#include <functional>
#include <map>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "registry/manifest.h"

namespace erofs_oci {
namespace {

namespace fs = std::filesystem;

/// "sha256-HEX…", as files of the store are named.
std::optional<Digest> digest_in(const std::string& name) {
  constexpr std::string_view kPrefix = "sha256-";
  if (!name.starts_with(kPrefix)) return std::nullopt;
  return Digest::try_parse("sha256:" + name.substr(kPrefix.size(), 2 * sizeof(Digest::value)));
}

/// Walks one folder of the store after the other.
class Collector {
 public:
  Collector(const fs::path& root, bool dry_run) : root_(root), dry_run_(dry_run) {}

  /// Removes the files of a folder that `keep` does not want.
  void sweep(const char* folder, const std::function<bool(const std::string& name)>& keep) {
    for (const std::string& name : names_in(root_ / folder)) {
      std::error_code gone;
      const fs::directory_entry entry(root_ / folder / name, gone);
      if (!gone && entry.is_regular_file(gone) && !keep(name)) remove(entry);
    }
  }

  /// Removes the layers that are not among `layers`.
  void sweep_cache(DiskCache& cache, const std::set<Digest>& layers) {
    std::map<Digest, uint64_t> unwanted;
    for (const auto& layer : cache.layers()) {
      if (!layers.contains(layer->key().layer)) unwanted[layer->key().layer] += layer->bytes_on_disk();
    }
    for (const auto& [digest, bytes] : unwanted) {
      removed_.push_back({cache.folder() / (digest.hex() + "-*"), bytes});
      if (!dry_run_) cache.remove(digest);
    }
  }

  std::vector<Removed> take() {
    std::ranges::sort(removed_, {}, &Removed::path);
    return std::move(removed_);
  }

 private:
  void remove(const fs::directory_entry& entry) {
    std::error_code error;
    const auto size = entry.file_size(error);
    if (!dry_run_ && !fs::remove(entry.path(), error)) {
      logf(LogLevel::warning, "{}: cannot be removed: {}; ignoring", entry.path().native(), error.message());
      return;
    }
    removed_.push_back({entry.path(), error ? 0 : size});
  }

  const fs::path& root_;
  const bool dry_run_;
  std::vector<Removed> removed_;
};

/// The layers of images; a manifest that cannot be read has none.
std::set<Digest> layers_of(Store& store, const std::set<Digest>& manifests) {
  std::set<Digest> layers;
  for (const Digest& digest : manifests) {
    const auto json = store.find_manifest(digest);
    if (!json) continue;
    for (const auto& layer : registry::parse_manifest(*json, to_string(digest)).layers)
      layers.insert(layer.digest);
  }
  return layers;
}

}  // namespace

std::vector<Removed> collect_garbage(Store& store, const Needed& needed, bool dry_run, DiskCache* cache) {
  std::set<Digest> manifests = needed.manifests;
  std::set<std::string> refs;
  for (const auto& [image, platform] : needed.images) {
    refs.insert(Store::ref_name(image, platform));
    if (const auto ref = store.find_ref(image, platform)) manifests.insert(ref->digest);
  }
  std::set<Digest> files;
  for (const std::string& mount : needed.mounts) {
    const auto binding = store.find_binding(mount);
    if (!binding) continue;
    if (binding->tarindex) files.insert(*binding->tarindex);
    if (binding->zinfo) files.insert(*binding->zinfo);
  }
  const auto of_manifest = [&](std::string_view ending) {
    return [&, ending](const std::string& name) {
      const auto digest = digest_in(name);
      return digest && manifests.contains(*digest) && name.ends_with(ending);
    };
  };
  Collector collector(store.root(), dry_run);
  collector.sweep("refs", [&](const std::string& name) { return refs.contains(name); });
  collector.sweep("manifests", of_manifest(".json"));
  collector.sweep("index", of_manifest(".index"));
  collector.sweep("traces", of_manifest(".trace"));
  collector.sweep("bindings", [&](const std::string& name) {
    return name.ends_with(".json") && needed.mounts.contains(name.substr(0, name.size() - 5));
  });
  collector.sweep("files", [&](const std::string& name) {
    const auto digest = digest_in(name);
    return digest && files.contains(*digest);
  });
  if (cache != nullptr && cache->writes()) {
    if (!dry_run) cache->keep_pins(needed.mounts);
    collector.sweep_cache(*cache, layers_of(store, manifests));
  }
  return collector.take();
}

}  // namespace erofs_oci
