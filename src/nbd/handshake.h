// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "base/unique_fd.h"

namespace erofs_oci::nbd {

/// What an export offers in the handshake.
struct ExportInfo {
  std::string name;  ///< answered to LIST; the empty name always means this export
  uint64_t size_bytes = 0;
  uint32_t block_size = 512;
};

/// What was agreed.
struct Negotiated {
  bool structured_replies = false;
};

/// The server's side of the fixed newstyle handshake on a blocking stream socket. nullopt where the client aborts or
/// leaves. Throws Error: `corrupt` for a client that does not speak the protocol, `unavailable` for one that takes
/// longer than `time_limit`.
std::optional<Negotiated> negotiate(int socket, const ExportInfo& info, std::chrono::milliseconds time_limit);

}  // namespace erofs_oci::nbd
