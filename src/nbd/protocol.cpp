// SPDX-License-Identifier: Apache-2.0
#include "nbd/protocol.h"

#include <cerrno>

namespace erofs_oci::nbd {

std::optional<Request> parse_request(Bytes data) {
  const std::byte* const header = data.data();
  if (load_be<uint32_t>(header) != kRequestMagic) return std::nullopt;
  return Request{load_be<uint16_t>(header + 4), load_be<uint16_t>(header + 6), load_be<uint64_t>(header + 8),
                 {load_be<uint64_t>(header + 16), load_be<uint32_t>(header + 24)}};
}

int refusal(const Request& request, uint64_t size_bytes, uint16_t known_flags) {
  switch (static_cast<Command>(request.command)) {
    case Command::read:
      break;
    case Command::write:
    case Command::trim:
    case Command::write_zeroes:
      return EPERM;
    default:
      return EINVAL;
  }
  if ((request.flags & ~known_flags) != 0) return EINVAL;
  if (request.range.empty() || request.range.length > kMaxRequest) return EINVAL;
  return request.range.fits_in(size_bytes) ? 0 : EINVAL;
}

std::array<std::byte, kSimpleReplySize> simple_reply(uint64_t cookie, int errno_value) {
  std::array<std::byte, kSimpleReplySize> header;
  store_be(header.data(), kSimpleReplyMagic);
  store_be(header.data() + 4, errno_value == 0 ? 0u : wire_error(errno_value));
  store_be(header.data() + 8, cookie);
  return header;
}

uint32_t wire_error(int errno_value) {
  switch (errno_value) {
    case EPERM:
    case EIO:
    case ENOMEM:
    case EINVAL:
    case ENOSPC:
    case EOVERFLOW:
    case ESHUTDOWN:
      return static_cast<uint32_t>(errno_value);  // the protocol's values are Linux's
    case EOPNOTSUPP:
      return 95;
    case EACCES:
    case EROFS:
      return EPERM;
    default:
      return EIO;
  }
}

}  // namespace erofs_oci::nbd
