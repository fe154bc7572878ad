// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/byte_range.h"
#include "base/bytes.h"

/// Constants and headers of the NBD protocol: proto.md of the NetworkBlockDevice project, and linux/nbd.h for the kernel's part.
/// All integers on the wire are big-endian.
namespace erofs_oci::nbd {

// Handshake ("Newstyle negotiation").
constexpr uint64_t kInitMagic = 0x4e42444d41474943;  // "NBDMAGIC"
constexpr uint64_t kOptionMagic = 0x49484156454f5054;  // "IHAVEOPT"
constexpr uint64_t kOptionReplyMagic = 0x0003e889045565a9;
constexpr uint16_t kFlagFixedNewstyle = 1 << 0;
constexpr uint16_t kFlagNoZeroes = 1 << 1;

enum class Option : uint32_t {
  export_name = 1,
  abort = 2,
  list = 3,
  info = 6,
  go = 7,
  structured_reply = 8,
};

enum class OptionReply : uint32_t {
  ack = 1,
  server = 2,
  info = 3,
  unsupported = 0x80000001,
  invalid = 0x80000003,
  unknown = 0x80000006,
  too_big = 0x80000009,
};

constexpr uint16_t kInfoExport = 0;
constexpr uint16_t kInfoBlockSize = 3;

// Transmission flags.
constexpr uint16_t kHasFlags = 1 << 0;
constexpr uint16_t kReadOnly = 1 << 1;
constexpr uint16_t kSendDontFragment = 1 << 7;
constexpr uint16_t kCanMultiConn = 1 << 8;

// Transmission.
constexpr uint32_t kRequestMagic = 0x25609513;
constexpr uint32_t kSimpleReplyMagic = 0x67446698;
constexpr uint32_t kStructuredReplyMagic = 0x668e33ef;
constexpr uint32_t kRequestSize = 28;
constexpr uint32_t kSimpleReplySize = 16;
constexpr uint32_t kStructuredReplySize = 20;

enum class Command : uint16_t { read = 0, write = 1, disconnect = 2, flush = 3, trim = 4, cache = 5, write_zeroes = 6 };

constexpr uint16_t kCommandFlagDontFragment = 1 << 2;

constexpr uint16_t kReplyFlagDone = 1 << 0;
constexpr uint16_t kReplyOffsetData = 1;
constexpr uint16_t kReplyError = (1 << 15) + 1;

/// The largest request that is answered with data ("Block size constraints": 32 MiB is what clients may expect).
constexpr uint32_t kMaxRequest = 32 * 1024 * 1024;

struct Request {
  uint16_t flags = 0;
  uint16_t command = 0;
  uint64_t cookie = 0;
  ByteRange range;
};

/// The request in the first kRequestSize bytes of `data`; nullopt where they are none.
std::optional<Request> parse_request(Bytes data);

/// The errno that answers a request which is not a proper read of the device; 0 for one that is.
int refusal(const Request& request, uint64_t size_bytes, uint16_t known_flags = 0);

/// The header of a simple reply; the data of a read follows it where `errno_value` is 0.
std::array<std::byte, kSimpleReplySize> simple_reply(uint64_t cookie, int errno_value);

/// The wire's errno for a Linux one; only these may be sent ("Values", "Error values").
uint32_t wire_error(int errno_value);

}  // namespace erofs_oci::nbd
