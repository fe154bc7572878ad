// SPDX-License-Identifier: Apache-2.0
#include "nbd/transmission.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

#include "base/error.h"

namespace erofs_oci::nbd {
namespace {

/// Room for the 128 requests that the kernel keeps in flight, and for a good part of a write's data.
constexpr size_t kInputSize = 64 * kKiB;
constexpr size_t kMaxIovecs = 256;

/// How long a stopped connection waits for its peer to take the rest of a reply that was begun.
constexpr std::chrono::seconds kFinishReply{1};

using Clock = std::chrono::steady_clock;

}  // namespace

Transmission::Transmission(UniqueFd socket, std::shared_ptr<BlockDevice> device, bool structured_replies)
    : socket_(std::move(socket)),
      device_(std::move(device)),
      structured_replies_(structured_replies),
      inbox_(std::make_shared<Inbox<Result>>()),
      input_(kInputSize) {
  const int flags = ::fcntl(socket_.get(), F_GETFL);
  if (flags < 0 || ::fcntl(socket_.get(), F_SETFL, flags | O_NONBLOCK) != 0) throw errno_error("nbd socket");
}

Transmission::~Transmission() = default;

void Transmission::stop() { inbox_->stop(); }

EndReason Transmission::run(const LoopPulse& pulse) {
  while (!done()) {
    const bool may_receive = !ending_ && under_way_ < kMaxUnderWay && output_bytes_ < kMaxQueued;
    pulse.rest();
    const bool readable = wait_for_work(may_receive);
    pulse.work();
    if (readable && may_receive && !receive()) break;
    take_results();
    if (!send_queued()) break;
  }
  ::shutdown(socket_.get(), SHUT_RDWR);
  return ending_.value_or(EndReason::peer_closed);
}

bool Transmission::done() const { return ending_ && output_.empty() && under_way_ == 0; }

/// Waits for a request, for room for a reply or for a result; true when the socket has something to read.
bool Transmission::wait_for_work(bool may_receive) {
  int timeout = -1;
  if (inbox_->stopping()) {
    if (stop_now()) return false;
    timeout = 100;
    may_receive = false;
  }
  std::array<pollfd, 2> events{{{socket_.get(), 0, 0}, {inbox_->wake_fd(), POLLIN, 0}}};
  if (may_receive) events[0].events |= POLLIN;
  if (!output_.empty()) events[0].events |= POLLOUT;
  if (::poll(events.data(), events.size(), timeout) < 0 && errno != EINTR) throw errno_error("poll");
  if (events[1].revents != 0) inbox_->clear_wake();
  if ((events[0].revents & (POLLERR | POLLHUP)) != 0 && !may_receive) {
    ending_ = EndReason::peer_closed;
    under_way_ = 0;
    output_.clear();
    return false;
  }
  return (events[0].revents & (POLLIN | POLLERR | POLLHUP)) != 0;
}

/// Drops what is under way; true when the reply that was begun, without which the stream would be broken, is out, or has
/// had its time.
bool Transmission::stop_now() {
  if (!give_up_at_) give_up_at_ = Clock::now() + kFinishReply;
  ending_ = EndReason::stopped;
  under_way_ = 0;
  while (output_.size() > (sent_of_first_ != 0 ? 1u : 0u)) output_.pop_back();
  if (Clock::now() > *give_up_at_) output_.clear();
  return output_.empty();
}

/// Reads what is there and handles each whole request; false when the connection is over.
bool Transmission::receive() {
  const ssize_t count =
      ::recv(socket_.get(), input_.data() + input_used_, input_.size() - input_used_, MSG_DONTWAIT);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return true;
  if (count <= 0) return false;
  input_used_ += static_cast<size_t>(count);
  const size_t parsed = parse(Bytes(input_).first(input_used_));
  std::copy(input_.begin() + static_cast<ptrdiff_t>(parsed), input_.begin() + static_cast<ptrdiff_t>(input_used_),
            input_.begin());
  input_used_ -= parsed;
  return true;
}

/// Handles the requests in `data` and returns how many bytes they took.
size_t Transmission::parse(Bytes data) {
  size_t used = 0;
  for (;;) {
    const size_t skipped = std::min<uint64_t>(discard_bytes_, data.size() - used);
    discard_bytes_ -= skipped;
    used += skipped;
    if (data.size() - used < kRequestSize || ending_) return used;
    const auto request = parse_request(data.subspan(used));
    if (!request) {
      ending_ = EndReason::protocol_error;
      return used;
    }
    used += kRequestSize;
    if (!handle(*request)) return used;
  }
}

/// False when the request ends the connection.
bool Transmission::handle(const Request& request) {
  const auto command = static_cast<Command>(request.command);
  if (command == Command::disconnect) {
    ending_ = EndReason::disconnected;
    return false;
  }
  if (command == Command::write) discard_bytes_ = request.range.length;
  const uint16_t known_flags = structured_replies_ ? kCommandFlagDontFragment : 0;
  if (const int error = refusal(request, device_->size_bytes(), known_flags); error != 0) {
    queue_error(request.cookie, error);
  } else {
    start_read(request);
  }
  return true;
}

void Transmission::start_read(const Request& request) {
  ++under_way_;
  device_->read(request.range, [inbox = inbox_, cookie = request.cookie, offset = request.range.offset](
                                   ReadResult result) { inbox->put({cookie, offset, std::move(result)}); });
}

void Transmission::take_results() {
  for (Result& arrived : inbox_->take()) {
    if (under_way_ == 0) return;  // stopped: the peer is told nothing
    --under_way_;
    if (arrived.result.errno_value != 0) {
      queue_error(arrived.cookie, arrived.result.errno_value);
    } else {
      queue_data(arrived.cookie, arrived.offset, std::move(arrived.result.payload));
    }
  }
}

void Transmission::queue_data(uint64_t cookie, uint64_t offset, Payload payload) {
  uint64_t length = 0;
  for (const Slice& slice : payload) length += slice.bytes.size();
  Reply reply;
  if (structured_replies_) {
    reply.header.resize(kStructuredReplySize + 8);
    store_be(reply.header.data(), kStructuredReplyMagic);
    store_be(reply.header.data() + 4, kReplyFlagDone);
    store_be(reply.header.data() + 6, kReplyOffsetData);
    store_be(reply.header.data() + 8, cookie);
    store_be(reply.header.data() + 16, static_cast<uint32_t>(length + 8));
    store_be(reply.header.data() + 20, offset);
  } else {
    const auto header = simple_reply(cookie, 0);
    reply.header.assign(header.begin(), header.end());
  }
  reply.payload = std::move(payload);
  reply.size = reply.header.size() + length;
  queue(std::move(reply));
}

void Transmission::queue_error(uint64_t cookie, int errno_value) {
  Reply reply;
  if (structured_replies_) {
    constexpr uint32_t kErrorLength = 6;  // error and an empty message
    reply.header.resize(kStructuredReplySize + kErrorLength);
    store_be(reply.header.data(), kStructuredReplyMagic);
    store_be(reply.header.data() + 4, kReplyFlagDone);
    store_be(reply.header.data() + 6, kReplyError);
    store_be(reply.header.data() + 8, cookie);
    store_be(reply.header.data() + 16, kErrorLength);
    store_be(reply.header.data() + 20, wire_error(errno_value));
  } else {
    const auto header = simple_reply(cookie, errno_value);
    reply.header.assign(header.begin(), header.end());
  }
  reply.size = reply.header.size();
  queue(std::move(reply));
}

void Transmission::queue(Reply reply) {
  output_bytes_ += reply.size;
  output_.push_back(std::move(reply));
}

/// Sends as much as the peer takes without waiting; false when the connection is over.
bool Transmission::send_queued() {
  while (!output_.empty()) {
    std::array<iovec, kMaxIovecs> vectors;
    size_t count = 0;
    size_t skip = sent_of_first_;
    const auto add = [&](Bytes bytes) {
      const size_t skipped = std::min(skip, bytes.size());
      skip -= skipped;
      if (skipped == bytes.size() || count == vectors.size()) return;
      vectors[count++] = {const_cast<std::byte*>(bytes.data()) + skipped, bytes.size() - skipped};
    };
    for (const Reply& reply : output_) {
      add(reply.header);
      for (const Slice& slice : reply.payload) add(slice.bytes);
      if (count == vectors.size()) break;
    }
    msghdr message{};
    message.msg_iov = vectors.data();
    message.msg_iovlen = count;
    const ssize_t sent = ::sendmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return errno == EAGAIN;
    drop_sent(static_cast<size_t>(sent));
  }
  return true;
}

void Transmission::drop_sent(size_t count) {
  output_bytes_ -= count;
  sent_of_first_ += count;
  while (!output_.empty() && sent_of_first_ >= output_.front().size) {
    sent_of_first_ -= output_.front().size;
    output_.pop_front();
  }
}

}  // namespace erofs_oci::nbd
