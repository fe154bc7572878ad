// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/digest.h"
#include "base/mutex.h"
#include "base/unique_fd.h"
#include "index/image_index.h"
#include "source/trace.h"

namespace erofs_oci {

/// What a mount's source was made of when it was first opened, so that a moved tag or an altered file is
/// noticed.
struct Binding {
  Digest layer;
  std::optional<Digest> tarindex;
  std::optional<Digest> zinfo;
  std::optional<uint64_t> stream_size;  ///< where only the layer's last span tells it
  friend bool operator==(const Binding&, const Binding&) = default;
};

/// What a name led to when a registry was last asked.
struct Ref {
  Digest digest;     ///< of the manifest
  std::string time;  ///< UTC, "2026-01-31 12:00:00"
};

/// What an index is of: an image, or one layer of it.
struct IndexKey {
  Digest manifest;
  std::optional<uint32_t> layer;
  friend auto operator<=>(const IndexKey&, const IndexKey&) = default;
};

/// What the daemon keeps over restarts and reboots, under /var/lib/erofs-oci, by digest. Files appear whole
/// or not at all. Thread-safe; two processes may share a store.
class Store {
 public:
  explicit Store(std::filesystem::path root);

  const std::filesystem::path& root() const { return root_; }

  struct Kept {
    Digest digest;
    UniqueFd file;  ///< open for reading
  };
  /// Copies the file `fd` into the store, unless it is there, and opens the copy: the user's file may change
  /// or vanish under us. `name` is for messages.
  Kept keep(int fd, const std::string& name);
  /// A kept file, verified; nullopt where there is none.
  std::optional<UniqueFd> find(const Digest& digest);

  void put_manifest(const Digest& digest, const std::string& json);
  /// A manifest that was put before, verified; nullopt where there is none.
  std::optional<std::string> find_manifest(const Digest& digest);

  void put_ref(const std::string& image, const std::string& platform, const Digest& digest);
  std::optional<Ref> find_ref(const std::string& image, const std::string& platform);
  /// Of the file in refs/: names of images hold what a file's name may not.
  static std::string ref_name(const std::string& image, const std::string& platform);

  /// Whether there is an index, without a look into it.
  bool has_index(const IndexKey& key) const;
  /// Whether there is one of the image or of any of its layers.
  bool has_any_index(const Digest& manifest) const;
  /// Of the file; 0 where there is none.
  uint64_t index_size(const IndexKey& key) const;
  /// The index, verified as it is opened; null where there is none. As long as anybody has it open, others share that
  /// one. A damaged one is removed, with a message: it can be built again. Thread-safe.
  std::shared_ptr<const ImageIndex> find_index(const IndexKey& key);
  /// Has `write` fill an empty file, which then becomes the index of `key`, whole or not at all.
  void make_index(const IndexKey& key, const std::function<void(int file, const std::string& name)>& write);
  /// For files without a name, on the same disk.
  std::filesystem::path scratch() const { return root_ / "index"; }

  /// Of the image, and of the device that the trace names.
  void put_trace(const Digest& manifest, const Trace& trace);
  /// The trace of that device, verified; nullopt where there is none. A damaged one is removed, with a
  /// message.
  std::optional<Trace> find_trace(const Digest& manifest, const Digest& device);

  void put_binding(const std::string& mount, const Binding& binding);
  std::optional<Binding> find_binding(const std::string& mount);

 private:
  std::filesystem::path file_path(const Digest& digest) const;
  std::filesystem::path manifest_path(const Digest& digest) const;
  std::filesystem::path ref_path(const std::string& image, const std::string& platform) const;
  std::filesystem::path index_path(const IndexKey& key) const;
  std::filesystem::path trace_path(const Digest& manifest, const Digest& device) const;
  std::filesystem::path binding_path(const std::string& mount) const;

  /// A file that was opened, by which another of the same name is told from it.
  struct SharedIndex {
    uint64_t device;
    uint64_t inode;
    std::weak_ptr<const ImageIndex> index;
  };

  std::filesystem::path root_;
  Mutex mutex_;
  std::map<std::filesystem::path, SharedIndex> shared_ GUARDED_BY(mutex_);
};

/// SHA-256 of a whole file.
Digest sha256_of_file(int fd, const std::string& name);

}  // namespace erofs_oci
