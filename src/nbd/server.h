// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/pulse.h"
#include "base/unique_fd.h"
#include "handover/request_table.h"
#include "handover/suspects.h"
#include "nbd/inbox.h"
#include "nbd/protocol.h"
#include "nbd/reply_pipe.h"
#include "source/block_device.h"

namespace erofs_oci::nbd {

/// What is needed to go on where a predecessor stopped, or was killed.
struct Connection {
  UniqueFd socket;
  ReplyPipe pipe;
  RequestTable table;
};

/// Why nobody can go on with `connection`, in a sentence without an end; empty where a Server can.
std::string why_lost(const Connection& connection);

/// Answers the requests of the kernel's nbd driver from a BlockDevice. A server takes a connection over from
/// a predecessor, orderly stopped or killed at any instruction: what was received and not answered is
/// answered, a reply that was half sent is finished, nothing is sent twice. How: README.md.
///
/// One thread runs run() and is the only one that reads or writes the socket. Reads that the device cannot
/// answer at once complete on other threads, which wake that thread; so replies leave in any order. stop() is
/// thread-safe.
class Server {
 public:
  /// Told of a read that fails because daemons died of it (Blame::guilty).
  using GivenUp = std::function<void(ByteRange)>;

  /// `connection` is not lost (why_lost()). The device is shared with reads that are under way when the
  /// server is gone.
  Server(Connection connection, std::shared_ptr<BlockDevice> device, GivenUp given_up);

  enum class End { stopped, disconnected, peer_closed, protocol_error };
  /// Serves until the kernel leaves or stop(). Unless it was stopped, the socket is shut down at the end, be
  /// that an exception, so that the kernel knows and the device can be given another one: copies of the
  /// socket, as the service manager has one, keep it open.
  End run(const LoopPulse& pulse = {nullptr, "nbd"});

  /// Ends run() soon: no new request is taken, and what is not answered is left to the successor.
  void stop() { inbox_->stop(); }

 private:
  using Slot = RequestTable::Slot;
  struct Result {
    Slot slot;
    PendingRead read;
    std::optional<ReadResult> result;  // none yet: it waits for a source that is away
  };
  struct Reply {
    Slot slot;
    std::array<std::byte, kSimpleReplySize> header;
    Payload payload;
    uint64_t size;
  };

  void take_over();
  std::vector<uint64_t> cookies_to_come() const;
  bool may_receive() const;
  short wait(bool may_receive);
  std::optional<End> receive();
  void take(const RequestTable::Entry& entry);
  void start(const RequestTable::Entry& entry);
  void start_suspect();
  void take_results();
  void queue_result(Slot slot, const PendingRead& read, ReadResult result);
  void queue_error(Slot slot, uint64_t cookie, int errno_value);
  void queue(Reply reply);
  bool send();
  void fill_pipe();
  void finish_replies();
  bool send_directly();
  bool wait_for_room();
  End end(End reason);

  Connection connection_;
  const std::shared_ptr<BlockDevice> device_;
  const GivenUp given_up_;
  const std::shared_ptr<Inbox<Result>> inbox_;
  Suspects suspects_{inbox_->wake_fd()};
  size_t owed_ = 0;           // slots in use
  std::deque<Reply> output_;  // of which nothing is sent
  uint64_t output_bytes_ = 0;
  std::vector<Slot> in_pipe_;  // replies that are being sent
};

}  // namespace erofs_oci::nbd
