// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "base/unique_fd.h"
#include "config/definition.h"
#include "control/messages.h"
#include "daemon/mount_health.h"
#include "registry/credentials.h"

namespace erofs_oci {

/// What a source is opened from: the definition, and what the client opened or read with its own rights.
struct OpenInput {
  Definition definition;
  UniqueFd image;  ///< of image = "file:…", "tar:…" and "oci-archive:…"
  /// Of image = "oci:…": those of its files that the client has opened so far, is_layout_file().
  std::map<std::string, UniqueFd> layout;
  UniqueFd tarindex;
  UniqueFd zinfo;
  std::optional<std::string> ca_pem;
  std::optional<registry::Credentials> credentials;
  /// Open exactly this image, from what the store knows of it: after a restart the registry need not be
  /// there.
  std::optional<Digest> pinned;
  std::shared_ptr<MountHealth> health;
  std::stop_token stop;  ///< give up, with Error unavailable
  std::stop_token left;  ///< likewise, but an index that is being built may be of use to the next
};

/// Told what is being done: "resolving", "building the index".
using StageSink = std::function<void(const OpenProgress& progress)>;

}  // namespace erofs_oci
