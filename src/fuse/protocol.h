// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/fuse.h>

#include <cstdint>
#include <optional>

#include "base/bytes.h"

// The part of FUSE's wire protocol that one read-only file needs, as pure functions (linux/fuse.h, man
// fuse(4)). All that is negotiated is a constant, so that a successor on a running connection need not know
// the negotiation.
namespace erofs_oci::fuse {

/// The oldest protocol that is served: 7.31, Linux 5.4.
constexpr uint32_t kMinorVersion = 31;
/// The largest read that the kernel may send; it is cut to 256 pages by Linux itself
/// (fs.fuse.max_pages_limit).
constexpr uint64_t kMaxReadBytes = 1 * kMiB;
/// Reads of readers ahead that the kernel sends before it holds further ones back.
constexpr uint16_t kMaxBackground = 64;

/// One request as it lies in a receive buffer, which it refers to.
struct Request {
  fuse_in_header header;
  Bytes body;
};

/// Splits what read(2) gave; nullopt where that is no whole request.
std::optional<Request> parse_request(Bytes received);

/// The beginning of `request`'s body as a `T`, zero-filled where an older kernel sends less.
template <typename T>
T body_as(const Request& request) {
  T value{};
  std::memcpy(&value, request.body.data(), std::min(request.body.size(), sizeof value));
  return value;
}

/// The answer to FUSE_INIT; nullopt where the kernel's protocol is older than kMinorVersion. A newer major
/// version gets ours in return, and the kernel asks again.
std::optional<fuse_init_out> init_reply(const fuse_init_in& init);

/// The file's attributes, valid for good: it never changes.
fuse_attr_out attr_reply(uint64_t size_bytes);
fuse_open_out open_reply();
fuse_statfs_out statfs_reply(uint64_t size_bytes);

/// What an operation that is not served fails with: EROFS where it would change something, else ENOSYS, upon
/// which the kernel does without.
int refusal(uint32_t opcode);

}  // namespace erofs_oci::fuse
