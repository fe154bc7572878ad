// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/uio.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/byte_range.h"
#include "base/bytes.h"
#include "base/error.h"

namespace erofs_oci {

/// A piece of a reply: bytes and whoever keeps them alive and unchanged.
struct Slice {
  Bytes bytes;
  std::shared_ptr<const void> owner;
};

/// The bytes of one read, in order.
using Payload = std::vector<Slice>;

/// What a read ended with: `errno_value` 0 and exactly the bytes asked for, or an errno and no bytes.
struct ReadResult {
  int errno_value = 0;
  Payload payload;
  /// Why, where the source is away: it may work later, and whether the read has failed is for a PatientDevice to say.
  std::optional<Error> unavailable = std::nullopt;
};

/// Called exactly once a read: within BlockDevice::read where memory holds the data, else later on another thread.
/// Must not block, throw or call back into the device.
using ReadDone = std::function<void(ReadResult)>;

/// Called on any thread when a read begins to wait for a source that is away, and does nothing meanwhile. May come late, after
/// ReadDone. Must not block, throw or call back into the device.
using ReadWaits = std::function<void()>;

/// When a read came, which may have been to a former daemon: its waiting counts from there.
using ReadArrival = std::chrono::steady_clock::time_point;

/// A read-only range of bytes that a transport serves. Thread-safe.
class BlockDevice {
 public:
  virtual ~BlockDevice() = default;
  virtual uint64_t size_bytes() const = 0;
  /// 512 or 4096: the logical block size for the kernel.
  virtual uint32_t block_size() const = 0;
  /// Reads `range`, which must fit in size_bytes(); `done` gets the bytes or an errno.
  virtual void read(ByteRange range, ReadDone done) = 0;
  /// The same, where it may take as long as a source is away.
  virtual void read_or_wait(ByteRange range, [[maybe_unused]] ReadArrival arrived, ReadDone done,
                            [[maybe_unused]] ReadWaits waits) {
    read(range, std::move(done));
  }
};

}  // namespace erofs_oci
