// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>

#include "base/pulse.h"
#include "base/unique_fd.h"
#include "handover/request_table.h"
#include "handover/suspects.h"
#include "source/block_device.h"

namespace erofs_oci::fuse {

/// Answers the kernel's requests for the one file of a FuseFile from a BlockDevice. A server takes a
/// connection over from a predecessor, orderly stopped or killed, when it gets the same connection and the
/// same table: the requests that were pending are answered, nothing is negotiated again. stop() is
/// thread-safe.
class Server {
 public:
  /// Told of a read that fails because daemons died of it (Blame::guilty).
  using GivenUp = std::function<void(ByteRange)>;

  /// The device is shared with reads that are still under way when the server is gone.
  Server(UniqueFd connection, std::shared_ptr<BlockDevice> device, RequestTable table, GivenUp given_up);
  /// Stops; run() must have returned.
  ~Server();

  enum class End {
    stopped,    ///< by stop(): a successor can go on
    unmounted,  ///< the file has no user any more, or the connection was aborted: nobody will ask again
  };
  /// Receives and answers on the calling thread, once. Reads that have to wait for their bytes are answered
  /// on the device's own threads.
  End run(const LoopPulse& pulse = {nullptr, "fuse"});

  /// Ends run(): receives no more, lets replies that are being written finish, and drops later ones, whose
  /// reads stay in the table for the successor. Returns when nothing is written any more.
  void stop();

  /// For the descriptor store.
  int connection_fd() const;
  int table_fd() const;

 private:
  class Session;
  std::shared_ptr<Session> session_;  // shared with the completions of reads under way
};

}  // namespace erofs_oci::fuse
