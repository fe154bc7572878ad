// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/digest.h"
#include "base/unique_fd.h"

namespace erofs_oci {

/// What a mount's source was made of when it was first opened, so that a moved tag or an altered file is noticed.
struct Binding {
  Digest layer;
  Digest tarindex;
  std::optional<Digest> zinfo;
  friend bool operator==(const Binding&, const Binding&) = default;
};

/// What the daemon keeps over restarts and reboots, under /var/lib/erofs-oci, by digest. Files appear whole or not at
/// all. Thread-safe; two processes may share a store.
class Store {
 public:
  explicit Store(std::filesystem::path root);

  struct Kept {
    Digest digest;
    UniqueFd file;  ///< open for reading
  };
  /// Copies the file `fd` into the store, unless it is there, and opens the copy: the user's file may change or vanish
  /// under us. `name` is for messages.
  Kept keep(int fd, const std::string& name);
  /// A kept file, verified; nullopt where there is none.
  std::optional<UniqueFd> find(const Digest& digest);

  void put_manifest(const Digest& digest, const std::string& json);
  /// A manifest that was put before, verified; nullopt where there is none.
  std::optional<std::string> find_manifest(const Digest& digest);

  void put_binding(const std::string& mount, const Binding& binding);
  std::optional<Binding> find_binding(const std::string& mount);

 private:
  std::filesystem::path file_path(const Digest& digest) const;
  std::filesystem::path manifest_path(const Digest& digest) const;
  std::filesystem::path binding_path(const std::string& mount) const;

  std::filesystem::path root_;
};

/// SHA-256 of a whole file.
Digest sha256_of_file(int fd, const std::string& name);

}  // namespace erofs_oci
