// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/pulse.h"
#include "base/unique_fd.h"
#include "handover/request_table.h"
#include "nbd/server.h"
#include "source/block_device.h"

namespace erofs_oci {

/// A descriptor on which reads of a device are answered, by threads of its own. stop() and the destructor may
/// be called from any one thread; the destructor stops and joins.
class Transport {
 public:
  virtual ~Transport() = default;
  /// Ends serving; what is not answered is left to a successor on the same connection, where it can have one.
  virtual void stop() = 0;
};

/// Why nobody will ask any more.
struct TransportEnd {
  std::string how;
  bool is_lost = false;  ///< neither was it stopped nor did the kernel take leave: its readers wait for another connection
};

/// Told once, on the serving thread.
using TransportEnded = std::function<void(const TransportEnd& end)>;

// The serving threads have pulses of `pulses`, where it is given; it outlives the transport.

/// Told of a read that fails because former daemons died of it.
using ReadGivenUp = std::function<void(ByteRange range)>;

/// Serves the kernel's nbd driver on the other end of the connection's socket; goes on with what a predecessor left.
std::unique_ptr<Transport> serve_nbd(nbd::Connection connection, std::shared_ptr<BlockDevice> device,
                                     TransportEnded ended, ReadGivenUp given_up, Pulses* pulses = nullptr);

/// Serves the file of a FUSE connection; `table` holds what a predecessor owed, or nothing. Aborts the
/// process, with a message that names the mount, where an error keeps it from receiving requests.
std::unique_ptr<Transport> serve_fuse(UniqueFd connection, RequestTable table, const std::string& name,
                                      std::shared_ptr<BlockDevice> device, TransportEnded ended,
                                      ReadGivenUp given_up, Pulses* pulses = nullptr);

/// Serves clients of the block protocol, with its handshake, on a listening stream socket; a bounded number
/// at a time.
std::unique_ptr<Transport> serve_export(UniqueFd listener, std::string name,
                                        std::shared_ptr<BlockDevice> device);

}  // namespace erofs_oci
