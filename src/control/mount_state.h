// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/unique_fd.h"
#include "config/definition.h"
#include "control/messages.h"

namespace erofs_oci {

/// How far a mount has come. `preparing` is written before anything in the kernel exists.
enum class MountPhase { preparing, mounted };

constexpr uint32_t kStateVersion = 1;

/// What is remembered of a mount, in /run/erofs-oci/mounts/NAME.json: enough to serve it again and to undo it, whatever
/// became of the definition, and no secret.
struct MountState {
  uint32_t version = kStateVersion;
  MountPhase phase = MountPhase::preparing;
  std::string generation;  ///< 32 hex digits, new for every mount; names the device's backend
  Definition definition;   ///< as it was when it was mounted
  std::optional<Digest> image_digest;
  std::optional<std::string> index_identity;
  TransportKind transport = TransportKind::nbd;
  uint64_t size_bytes = 0;
  uint32_t block_size = 0;
  std::optional<uint32_t> nbd_index;
  std::optional<uint32_t> mount_id;         ///< in /proc/self/mountinfo; used again for others' mounts
  std::optional<uint64_t> unique_mount_id;  ///< never used again; since Linux 6.8
  std::optional<uint64_t> mount_device;     ///< the filesystem's, a dev_t
  std::string control_socket;               ///< of the daemon that serves it
  /// What $CREDENTIALS_DIRECTORY and the like were for whoever mounted it. Whoever reattaches it has others,
  /// or none.
  std::map<std::string, std::string> credential_paths;

  const std::string& name() const { return definition.name; }
  /// "erofs-oci:NAME:GENERATION", by which a device is known to be ours.
  std::string identifier() const;
};

/// Files of mount states and the locks of their names. The folder belongs to root.
class MountStates {
 public:
  explicit MountStates(std::filesystem::path folder = "/run/erofs-oci");

  /// Holds NAME.lock until dropped: mount, umount and reattach of one name never interleave. Waits for
  /// another holder, a minute at most; then Error busy. `check` is called meanwhile, and may throw.
  UniqueFd lock(
      const std::string& name, const std::function<void()>& check = [] {}) const;

  std::optional<MountState> load(const std::string& name) const;
  void save(const MountState& state) const;
  void remove(const std::string& name) const;
  /// Names with a state file, sorted. Error where the folder cannot be read; one that is missing has none.
  std::vector<std::string> names() const;

 private:
  std::filesystem::path file(const std::string& name) const;
  void make_folder() const;

  std::filesystem::path folder_;
};

}  // namespace erofs_oci
