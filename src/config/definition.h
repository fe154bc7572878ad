// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace erofs_oci {

enum class IndexPolicy { build, require, registry };
enum class TransportChoice { automatic, nbd, fuse };
enum class BootPolicy { off, nofail, required };
enum class Unavailable { fail, wait };
enum class PrefetchMode { none, trace, all };

struct RegistrySettings {
  std::optional<std::filesystem::path> hosts_dir;  ///< containerd's certs.d layout
  bool insecure = false;                           ///< plain HTTP, or HTTPS with any certificate
  std::optional<std::filesystem::path> ca;         ///< PEM bundle beside the system's
  std::optional<std::string> credential;           ///< name in the credential directory, or a path
  std::optional<std::string> proxy;                ///< URL, no user information
};

struct IoSettings {
  Unavailable on_unavailable = Unavailable::fail;
  std::chrono::milliseconds deadline = std::chrono::seconds(60);
  uint64_t read_ahead = 1 << 20;  ///< bytes; measured: nbd/README.md, "The queue"
};

struct CacheSettings {
  bool enabled = true;
  bool pin = false;
};

struct PrefetchSettings {
  PrefetchMode mode = PrefetchMode::none;
  std::optional<uint64_t> rate;  ///< bytes a second; none: unlimited
};

/// A mount as declared in NAME.toml (erofs-oci.toml(5)); validated, never holds a secret.
struct Definition {
  std::string name;   ///< [A-Za-z0-9][A-Za-z0-9:_.-]*, at most 128 characters
  std::string image;  ///< registry reference, or oci: oci-archive: tar: file: and a path
  std::filesystem::path mountpoint;
  std::optional<std::string> platform;  ///< os/arch[/variant]; none: this host's
  std::optional<std::string> layer;     ///< decimal number or digest; none: the whole image
  std::optional<std::filesystem::path> tarindex;
  std::optional<std::filesystem::path> zinfo;
  IndexPolicy index = IndexPolicy::build;
  std::vector<std::string> options = {"nodev", "nosuid"};
  TransportChoice transport = TransportChoice::automatic;
  BootPolicy boot = BootPolicy::off;
  bool automount = false;
  std::chrono::milliseconds start_timeout = std::chrono::seconds(90);
  RegistrySettings registry;
  IoSettings io;
  CacheSettings cache;
  PrefetchSettings prefetch;
  std::optional<std::string> verity_root_hash;  ///< hex
};

}  // namespace erofs_oci
