// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "base/pulse.h"
#include "base/unique_fd.h"
#include "fuse/request_table.h"
#include "source/block_device.h"

namespace erofs_oci {

/// A descriptor on which reads of a device are answered, by threads of its own. stop() and the destructor may
/// be called from any one thread; the destructor stops and joins.
class Transport {
 public:
  virtual ~Transport() = default;
  /// Ends serving soon; reads under way get `drain` to be answered.
  virtual void stop(std::chrono::milliseconds drain) = 0;
};

/// Told once, on the serving thread, that nobody will ask any more, and why.
using TransportEnded = std::function<void(const std::string& how)>;

// The serving threads have pulses of `pulses`, where it is given; it outlives the transport.

/// Serves the kernel's nbd driver on the other end of `socket`.
std::unique_ptr<Transport> serve_nbd(UniqueFd socket, std::shared_ptr<BlockDevice> device,
                                     TransportEnded ended, Pulses* pulses = nullptr);

/// Serves the file of a FUSE connection; `table` holds what a predecessor owed, or nothing.
std::unique_ptr<Transport> serve_fuse(UniqueFd connection, fuse::RequestTable table,
                                      std::shared_ptr<BlockDevice> device, TransportEnded ended,
                                      Pulses* pulses = nullptr);

/// Serves clients of the block protocol, with its handshake, on a listening stream socket; a bounded number
/// at a time.
std::unique_ptr<Transport> serve_export(UniqueFd listener, std::string name,
                                        std::shared_ptr<BlockDevice> device);

}  // namespace erofs_oci
