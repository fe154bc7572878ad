// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "base/pulse.h"
#include "base/unique_fd.h"
#include "nbd/inbox.h"
#include "nbd/protocol.h"
#include "source/block_device.h"

namespace erofs_oci::nbd {

/// Why a connection is no longer served.
enum class EndReason { disconnected, peer_closed, protocol_error, stopped };

/// The transmission phase of the block protocol on one stream socket, for clients of an export: takes requests, answers
/// reads from a device. The kernel is served by Server.
///
/// One thread runs run() and is the only one that reads or writes the socket. Reads that the device cannot answer at
/// once complete on other threads, which queue the result and wake that thread; so replies leave in any order, and a
/// read that memory answers never waits behind one that waits for the network. A reply is queued only when all of its
/// bytes are at hand.
class Transmission {
 public:
  /// More requests than this under way, or more reply bytes than kMaxQueued not taken by the peer: no more are read.
  static constexpr size_t kMaxUnderWay = 1024;
  static constexpr uint64_t kMaxQueued = 4 * kMiB;

  Transmission(UniqueFd socket, std::shared_ptr<BlockDevice> device, bool structured_replies = false);
  ~Transmission();

  /// Serves until the peer leaves or stop(); a reply that was begun is finished where the peer takes it. The socket is
  /// shut down at the end.
  EndReason run(const LoopPulse& pulse = {nullptr, "nbd"});

  /// Ends run() soon: no new request is read, none under way is answered. Thread-safe.
  void stop();

 private:
  struct Result {
    uint64_t cookie;
    uint64_t offset;
    ReadResult result;
  };
  struct Reply {
    std::vector<std::byte> header;
    Payload payload;
    uint64_t size = 0;
  };

  bool receive();
  size_t parse(Bytes data);
  bool handle(const Request& request);
  void start_read(const Request& request);
  void take_results();
  void queue_data(uint64_t cookie, uint64_t offset, Payload payload);
  void queue_error(uint64_t cookie, int errno_value);
  void queue(Reply reply);
  bool send_queued();
  void drop_sent(size_t count);
  bool wait_for_work(bool may_receive);
  bool done() const;
  bool stop_now();

  const UniqueFd socket_;
  const std::shared_ptr<BlockDevice> device_;
  const bool structured_replies_;
  const std::shared_ptr<Inbox<Result>> inbox_;

  std::vector<std::byte> input_;
  size_t input_used_ = 0;
  uint64_t discard_bytes_ = 0;  // rest of a write's data
  size_t under_way_ = 0;
  std::deque<Reply> output_;
  uint64_t output_bytes_ = 0;
  size_t sent_of_first_ = 0;
  std::optional<std::chrono::steady_clock::time_point> give_up_at_;  // once stopped
  std::optional<EndReason> ending_;  // no more requests; what is queued is still sent
};

}  // namespace erofs_oci::nbd
