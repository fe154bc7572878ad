// SPDX-License-Identifier: Apache-2.0
#include "fuse/protocol.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace erofs_oci::fuse {
namespace {

// ASYNC_READ: reads ahead are sent side by side. MAX_PAGES: reads beyond 128 KiB. EXPLICIT_INVAL_DATA: cached
// pages stay, whatever attributes say.
constexpr uint32_t kFlags = FUSE_ASYNC_READ | FUSE_ASYNC_DIO | FUSE_MAX_PAGES | FUSE_EXPLICIT_INVAL_DATA;

constexpr uint64_t kForeverSeconds = 365 * 24 * 3600;
constexpr uint32_t kBlockBytes = 4096;

}  // namespace

std::optional<Request> parse_request(Bytes received) {
  Request request{};
  if (received.size() < sizeof request.header) return std::nullopt;
  std::memcpy(&request.header, received.data(), sizeof request.header);
  if (request.header.len < sizeof request.header || request.header.len > received.size()) return std::nullopt;
  request.body = received.first(request.header.len).subspan(sizeof request.header);
  return request;
}

std::optional<fuse_init_out> init_reply(const fuse_init_in& init) {
  fuse_init_out reply{};
  reply.major = FUSE_KERNEL_VERSION;
  reply.minor = kMinorVersion;
  if (init.major > FUSE_KERNEL_VERSION) return reply;
  if (init.major < FUSE_KERNEL_VERSION || init.minor < kMinorVersion) return std::nullopt;
  reply.max_readahead = init.max_readahead;
  reply.flags = kFlags & init.flags;
  reply.max_background = kMaxBackground;
  reply.congestion_threshold = kMaxBackground * 3 / 4;
  reply.max_write = 4096;  // the least there is; nothing is written
  reply.time_gran = 1;
  reply.max_pages = static_cast<uint16_t>(kMaxReadBytes / static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)));
  return reply;
}

fuse_attr_out attr_reply(uint64_t size_bytes) {
  fuse_attr_out reply{};
  reply.attr_valid = kForeverSeconds;
  reply.attr.ino = FUSE_ROOT_ID;
  reply.attr.size = size_bytes;
  reply.attr.blocks = (size_bytes + 511) / 512;
  reply.attr.mode = S_IFREG | 0444;
  reply.attr.nlink = 1;
  reply.attr.blksize = kBlockBytes;
  return reply;
}

fuse_open_out open_reply() {
  fuse_open_out reply{};
  // NOFLUSH: close(2) has nothing to wait for, least of all for a server that is being restarted.
  reply.open_flags = FOPEN_KEEP_CACHE | FOPEN_NOFLUSH;
  return reply;
}

fuse_statfs_out statfs_reply(uint64_t size_bytes) {
  fuse_statfs_out reply{};
  reply.st.blocks = (size_bytes + kBlockBytes - 1) / kBlockBytes;
  reply.st.files = 1;
  reply.st.bsize = kBlockBytes;
  reply.st.frsize = kBlockBytes;
  reply.st.namelen = 255;
  return reply;
}

int refusal(uint32_t opcode) {
  switch (opcode) {
    case FUSE_SETATTR:
    case FUSE_WRITE:
    case FUSE_SETXATTR:
    case FUSE_REMOVEXATTR:
    case FUSE_FALLOCATE:
    case FUSE_COPY_FILE_RANGE:
      return EROFS;
    default:
      return ENOSYS;
  }
}

}  // namespace erofs_oci::fuse
