// SPDX-License-Identifier: Apache-2.0
#include "nbd/server.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>

#include "base/error.h"

namespace erofs_oci::nbd {
namespace {

/// As many requests as the driver keeps in flight (its queue's depth) are received at once.
constexpr size_t kMaxBatch = 128;
/// More reply bytes than this wait to be sent: no more requests are received.
constexpr uint64_t kMaxQueued = 4 * kMiB;
/// How long a server that was stopped waits for room for the rest of a reply that went straight to the
/// socket.
constexpr int kFinishReplyMs = 1000;

using Requests = std::array<std::byte, kMaxBatch * kRequestSize>;

uint64_t size_of(const Payload& payload) {
  uint64_t size = 0;
  for (const Slice& slice : payload) size += slice.bytes.size();
  return size;
}

iovec vector_of(Bytes bytes) {
  return {const_cast<std::byte*>(bytes.data()), bytes.size()};
}

}  // namespace

std::string why_lost(const Connection& connection) {
  const ReplyPhase phase = connection.table.phase();
  if (phase == ReplyPhase::sending) return "how much of a reply was sent is not known";
  if (phase > ReplyPhase::sending) return "its table of requests has an unknown phase";
  if (phase == ReplyPhase::none && connection.pipe.waiting() != 0) return "its pipe holds what is no reply";
  pollfd entry{connection.socket.get(), 0, 0};
  if (::poll(&entry, 1, 0) != 0) return "the kernel has closed it";
  return {};
}

Server::Server(Connection connection, std::shared_ptr<BlockDevice> device, GivenUp given_up)
    : connection_(std::move(connection)),
      device_(std::move(device)),
      given_up_(std::move(given_up)),
      inbox_(std::make_shared<Inbox<Result>>()) {
  const int flags = ::fcntl(connection_.socket.get(), F_GETFL);
  if (flags < 0 || ::fcntl(connection_.socket.get(), F_SETFL, flags | O_NONBLOCK) != 0)
    throw errno_error("nbd socket");
}

Server::End Server::run(const LoopPulse& pulse) try {
  pulse.work();
  take_over();
  while (!inbox_->stopping()) {
    start_suspect();
    take_results();
    if (!send()) return end(End::peer_closed);
    const bool receiving = may_receive();
    pulse.rest();
    const short events = wait(receiving);
    pulse.work();
    if ((events & (POLLERR | POLLHUP)) != 0 && !receiving) return end(End::peer_closed);
    if ((events & (POLLIN | POLLERR | POLLHUP)) == 0) continue;
    if (const auto reason = receive()) return end(*reason);
  }
  return End::stopped;
} catch (...) {
  end(End::protocol_error);
  throw;
}

Server::End Server::end(End reason) {
  ::shutdown(connection_.socket.get(), SHUT_RDWR);
  return reason;
}

void Server::take_over() {
  RequestTable& table = connection_.table;
  if (table.phase() == ReplyPhase::piping) {
    connection_.pipe.drain();
    table.unmark_replying();
    table.set_phase(ReplyPhase::none);
  }
  in_pipe_ = table.replying();
  owed_ = in_pipe_.size();
  const std::vector<uint64_t> to_come = cookies_to_come();
  for (const auto& entry :
       table.take_over([&](uint64_t id) { return std::ranges::find(to_come, id) != to_come.end(); })) {
    ++owed_;
    take(entry);
  }
}

/// Of requests that wait in the socket: the driver gives a cookie to one request only as long as that is not
/// answered.
std::vector<uint64_t> Server::cookies_to_come() const {
  Requests buffer;
  const ssize_t count =
      ::recv(connection_.socket.get(), buffer.data(), buffer.size(), MSG_PEEK | MSG_DONTWAIT);
  std::vector<uint64_t> cookies;
  for (ssize_t at = 0; at + static_cast<ssize_t>(kRequestSize) <= count; at += kRequestSize) {
    if (const auto request = parse_request(Bytes(buffer).subspan(static_cast<size_t>(at))))
      cookies.push_back(request->cookie);
  }
  return cookies;
}

bool Server::may_receive() const {
  return output_bytes_ < kMaxQueued && owed_ + kMaxBatch <= RequestTable::kSlots;
}

/// Waits for a request, for room for a reply or for a result; gives the socket's events.
short Server::wait(bool receiving) {
  std::array<pollfd, 2> events{{{connection_.socket.get(), 0, 0}, {inbox_->wake_fd(), POLLIN, 0}}};
  if (receiving) events[0].events |= POLLIN;
  if (connection_.table.phase() == ReplyPhase::splicing) events[0].events |= POLLOUT;
  if (::poll(events.data(), events.size(), -1) < 0 && errno != EINTR) throw errno_error("poll");
  if (events[1].revents != 0) inbox_->clear_wake();
  return events[0].revents;
}

/// Takes the requests that are there: each is in the table before it leaves the socket.
std::optional<Server::End> Server::receive() {
  Requests buffer;
  const int socket = connection_.socket.get();
  const ssize_t count = ::recv(socket, buffer.data(), buffer.size(), MSG_PEEK | MSG_DONTWAIT);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return std::nullopt;
  if (count <= 0) return End::peer_closed;
  if (count < static_cast<ssize_t>(kRequestSize))
    return End::protocol_error;  // the driver sends a request as a whole
  std::vector<RequestTable::Entry> announced;
  size_t taken = 0;
  for (; taken + kRequestSize <= static_cast<size_t>(count); taken += kRequestSize) {
    const auto request = parse_request(Bytes(buffer).subspan(taken));
    if (!request || static_cast<Command>(request->command) == Command::write) return End::protocol_error;
    if (static_cast<Command>(request->command) == Command::disconnect) return End::disconnected;
    const PendingRead read{request->cookie, request->range, 0,
                           static_cast<uint32_t>(refusal(*request, device_->size_bytes()))};
    announced.emplace_back(connection_.table.announce(read).value(), read);
  }
  if (::recv(socket, buffer.data(), taken, MSG_DONTWAIT) != static_cast<ssize_t>(taken)) {
    throw errno_error("receiving requests that were there");
  }
  for (const auto& [slot, read] : announced) connection_.table.mark_received(slot);
  owed_ += announced.size();
  for (const auto& entry : announced) take(entry);
  return std::nullopt;
}

void Server::take(const RequestTable::Entry& entry) {
  const auto& [slot, read] = entry;
  if (read.refusal != 0) return queue_error(slot, read.id, static_cast<int>(read.refusal));
  switch (blame(read)) {
    case Blame::none:
      return start(entry);
    case Blame::suspect:
      return suspects_.add(entry);
    case Blame::guilty:
      given_up_(read.range);
      return queue_error(slot, read.id, EIO);
  }
}

void Server::start(const RequestTable::Entry& entry) {
  const auto& [slot, read] = entry;
  connection_.table.mark_started(slot);
  device_->read_or_wait(
      read.range, read.arrived,
      [inbox = inbox_, slot, read](ReadResult result) {
        inbox->put({slot, read, std::move(result)});
      },
      [inbox = inbox_, slot, read] {
        inbox->put({slot, read, std::nullopt});
      });
}

void Server::start_suspect() {
  if (const auto suspect = suspects_.next()) start(*suspect);
}

void Server::take_results() {
  for (Result& arrived : inbox_->take()) {
    const bool waits = !arrived.result;
    if (waits && !connection_.table.mark_waiting(arrived.slot, arrived.read.id)) continue;
    if (suspects_.settled(arrived.slot)) start_suspect();
    if (!waits) queue_result(arrived.slot, arrived.read, *std::move(arrived.result));
  }
}

void Server::queue_result(Slot slot, const PendingRead& read, ReadResult result) {
  const uint64_t size = size_of(result.payload);
  // The kernel would take the next reply's header for what is missing.
  if (result.errno_value == 0 && size != read.range.length) result.errno_value = EIO;
  if (result.errno_value != 0) return queue_error(slot, read.id, result.errno_value);
  queue({slot, simple_reply(read.id, 0), std::move(result.payload), kSimpleReplySize + size});
}

void Server::queue_error(Slot slot, uint64_t cookie, int errno_value) {
  queue({slot, simple_reply(cookie, errno_value), {}, kSimpleReplySize});
}

void Server::queue(Reply reply) {
  output_bytes_ += reply.size;
  output_.push_back(std::move(reply));
}

/// Sends as much as the kernel takes without waiting; false when the connection is over.
bool Server::send() {
  for (;;) {
    if (connection_.table.phase() == ReplyPhase::splicing) {
      const ReplyPipe::Moved moved = connection_.pipe.move_to(connection_.socket.get());
      if (moved != ReplyPipe::Moved::all) return moved == ReplyPipe::Moved::some;
      finish_replies();
    }
    if (output_.empty()) return true;
    if (output_.front().size <= connection_.pipe.capacity()) {
      fill_pipe();
    } else if (!send_directly()) {
      return false;
    }
  }
}

/// As many replies as the pipe takes. The phase is set before the first byte is in it, and again after the
/// last one is.
void Server::fill_pipe() {
  connection_.table.set_phase(ReplyPhase::piping);
  std::vector<iovec> pieces;
  uint64_t size = 0;
  size_t count = 0;
  for (; count < output_.size() && size + output_[count].size <= connection_.pipe.capacity(); ++count) {
    const Reply& reply = output_[count];
    if (!pieces.empty() && pieces.size() + reply.payload.size() >= IOV_MAX) break;
    size += reply.size;
    pieces.push_back(vector_of(reply.header));
    for (const Slice& slice : reply.payload) pieces.push_back(vector_of(slice.bytes));
    connection_.table.mark_replying(reply.slot);
    in_pipe_.push_back(reply.slot);
  }
  connection_.pipe.fill(pieces);
  connection_.table.set_phase(ReplyPhase::splicing);
  output_.erase(output_.begin(), output_.begin() + static_cast<ptrdiff_t>(count));
  output_bytes_ -= size;
}

void Server::finish_replies() {
  for (const Slot slot : in_pipe_) connection_.table.remove(slot);
  owed_ -= in_pipe_.size();
  in_pipe_.clear();
  connection_.table.set_phase(ReplyPhase::none);
}

/// For a reply that no pipe takes: the kernel asks for more than usual, or the host grants no large pipe. Who
/// dies here loses the connection. Waits until all of it is sent.
bool Server::send_directly() {
  const Reply reply = std::move(output_.front());
  output_.pop_front();
  output_bytes_ -= reply.size;
  in_pipe_ = {reply.slot};
  connection_.table.set_phase(ReplyPhase::sending);
  std::vector<iovec> pieces{vector_of(reply.header)};
  for (const Slice& slice : reply.payload) pieces.push_back(vector_of(slice.bytes));
  for (size_t at = 0; at < pieces.size();) {
    msghdr message{};
    message.msg_iov = &pieces[at];
    message.msg_iovlen = std::min<size_t>(pieces.size() - at, IOV_MAX);
    const ssize_t sent = ::sendmsg(connection_.socket.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN && wait_for_room()) continue;
    if (sent < 0 && errno != EINTR) return false;
    size_t left = static_cast<size_t>(std::max<ssize_t>(sent, 0));
    while (at < pieces.size() && left >= pieces[at].iov_len) left -= pieces[at++].iov_len;
    if (left != 0)
      pieces[at] = vector_of(
          Bytes(static_cast<const std::byte*>(pieces[at].iov_base), pieces[at].iov_len).subspan(left));
  }
  finish_replies();
  return true;
}

/// False where there is none within a second after stop().
bool Server::wait_for_room() {
  for (;;) {
    pollfd event{connection_.socket.get(), POLLOUT, 0};
    if (::poll(&event, 1, kFinishReplyMs) > 0) return (event.revents & (POLLERR | POLLHUP)) == 0;
    if (inbox_->stopping()) return false;
  }
}

}  // namespace erofs_oci::nbd
