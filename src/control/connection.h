// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"

namespace erofs_oci {

/// The most that one message may hold, its NUL included.
constexpr size_t kMaxMessageBytes = size_t{4} << 20;
/// The same for peers that may only ask questions, so that they cannot make us hold much.
constexpr size_t kMaxQuestionBytes = size_t{64} << 10;
/// The most descriptors that may come with one message: the kernel sends no more at once (unix(7)).
constexpr size_t kMaxMessageFds = 253;
constexpr size_t kMaxQuestionFds = 16;
/// The most objects and arrays within one another.
constexpr int kMaxMessageDepth = 16;

/// What is taken of a peer in one message.
struct MessageLimits {
  size_t bytes = kMaxMessageBytes;
  size_t fds = kMaxMessageFds;
};

using Deadline = std::chrono::steady_clock::time_point;
inline Deadline deadline_in(std::chrono::milliseconds time) {
  return std::chrono::steady_clock::now() + time;
}

/// One JSON object and the descriptors that came with its bytes; a parameter names one by its position here.
struct Message {
  nlohmann::json body;
  std::vector<UniqueFd> fds;
};

/// Who connected, as the kernel knows it (SO_PEERCRED, unix(7)).
struct PeerCredentials {
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
};

/// What a wait ends with that was interrupted, and whether an error is that.
Error interruption();
bool is_interruption(const Error& error);

/// A stream of messages over an AF_UNIX socket: JSON and a NUL byte each, descriptors as SCM_RIGHTS
/// (https://varlink.org/Method-Call). After an Error the stream may stand within a message, so it is of no
/// further use. One thread at a time, but for stop_reading() and wait_for_hangup().
class Connection {
 public:
  explicit Connection(UniqueFd socket, MessageLimits limits = {})
      : socket_(std::move(socket)), limits_(limits) {}

  PeerCredentials peer() const;
  void set_limits(MessageLimits limits) { limits_ = limits; }
  /// Waits throw interruption() as soon as `fd`, which outlives the connection, is readable.
  void set_interrupt(int fd) { interrupt_ = fd; }

  /// Sends `body`; the peer gets copies of `fds`. Error unavailable where it is gone or does not read until
  /// `deadline`.
  void send(const nlohmann::json& body, std::span<const int> fds, Deadline deadline);

  /// Waits for the first byte of a message or the end of the stream; false when `deadline` passes.
  bool wait(Deadline deadline) const;

  /// Waits until the peer has closed the stream, or `end` is readable; true for the former. Thread-safe.
  bool wait_for_hangup(int end) const;

  /// The next message; nullopt where the peer has ended the stream between two. Error corrupt for what is no
  /// message or breaks a limit, unavailable at `deadline`.
  std::optional<Message> receive(Deadline deadline);

  /// Ends the stream for receive(), at once and from any thread; what is being answered can still be sent.
  void stop_reading() const;

 private:
  /// Receives up to the end of the message or of what has arrived; false at the end of the stream.
  bool receive_some(std::string& text, std::vector<UniqueFd>& fds) const;

  bool poll_until(short events, Deadline deadline) const;

  UniqueFd socket_;
  int interrupt_ = -1;
  MessageLimits limits_;
};

}  // namespace erofs_oci
