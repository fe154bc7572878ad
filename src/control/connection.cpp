// SPDX-License-Identifier: Apache-2.0
#include "control/connection.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>

#include "base/error.h"
#include "base/text.h"

namespace erofs_oci {
namespace {

constexpr size_t kChunkBytes = size_t{64} << 10;

using FdControl = std::array<char, CMSG_SPACE(kMaxMessageFds * sizeof(int))>;

Error broken(std::string_view what) {
  return make_error(ErrorKind::corrupt, "the control connection brought {}", what);
}

Error failed(int errno_value, std::string_view doing) {
  if (errno_value == EPIPE || errno_value == ECONNRESET) {
    return Error(ErrorKind::unavailable, "the other side closed the control connection");
  }
  return system_error(errno_value, fmt::format("control connection, {}", doing));
}

/// Puts `fds` into `header` as SCM_RIGHTS.
void attach(msghdr& header, FdControl& control, std::span<const int> fds) {
  header.msg_control = control.data();
  header.msg_controllen = CMSG_SPACE(fds.size_bytes());
  cmsghdr* rights = CMSG_FIRSTHDR(&header);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(fds.size_bytes());
  std::memcpy(CMSG_DATA(rights), fds.data(), fds.size_bytes());
}

/// Owns every descriptor that `header` brought before anything else can fail.
void collect(msghdr& header, std::vector<UniqueFd>& fds) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
      fds.emplace_back(fd);
    }
  }
}

nlohmann::json parse_body(std::string_view text) {
  const auto check_depth = [](int depth, nlohmann::json::parse_event_t, const nlohmann::json&) {
    if (depth > kMaxMessageDepth) throw broken("a message that is nested too deeply");
    return true;
  };
  try {
    auto body = nlohmann::json::parse(text, check_depth);
    if (!body.is_object()) throw broken("a message that is not a JSON object");
    return body;
  } catch (const nlohmann::json::exception&) {
    throw broken("a message that is not JSON: " + printable(text, 60));
  }
}

}  // namespace

Error interruption() {
  return Error(ErrorKind::unavailable, EINTR, "interrupted");
}
bool is_interruption(const Error& error) {
  return error.kind() == ErrorKind::unavailable && error.errno_value() == EINTR;
}

/// Whether `events` came up before `deadline`; a hang-up counts, reading or writing will tell.
bool Connection::poll_until(short events, Deadline deadline) const {
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    const auto timeout = std::clamp<int64_t>(left.count(), 0, 1'000'000);
    pollfd entries[] = {{socket_.get(), events, 0}, {interrupt_, POLLIN, 0}};
    const int ready = ::poll(entries, std::size(entries), static_cast<int>(timeout));
    if (ready > 0 && entries[1].revents != 0) throw interruption();
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) throw failed(errno, "poll");
    if (ready == 0 && std::chrono::steady_clock::now() >= deadline) return false;
  }
}

PeerCredentials Connection::peer() const {
  ucred credentials{};
  socklen_t length = sizeof credentials;
  if (::getsockopt(socket_.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) {
    throw failed(errno, "SO_PEERCRED");
  }
  return {credentials.pid, credentials.uid, credentials.gid};
}

void Connection::send(const nlohmann::json& body, std::span<const int> fds, Deadline deadline) {
  assert(fds.size() <= kMaxMessageFds);
  std::string text = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  text.push_back('\0');
  if (text.size() > kMaxMessageBytes)
    throw Error(ErrorKind::invalid, "the message is too large for the control socket");
  for (size_t sent = 0; sent < text.size();) {
    iovec bytes{text.data() + sent, text.size() - sent};
    msghdr header{};
    header.msg_iov = &bytes;
    header.msg_iovlen = 1;
    alignas(cmsghdr) FdControl control{};
    if (sent == 0 && !fds.empty()) attach(header, control, fds);
    const ssize_t count = ::sendmsg(socket_.get(), &header, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count >= 0) {
      sent += static_cast<size_t>(count);
    } else if (errno == EAGAIN) {
      if (!poll_until(POLLOUT, deadline)) {
        throw Error(ErrorKind::unavailable, ETIMEDOUT,
                    "the other side of the control connection does not read");
      }
    } else if (errno != EINTR) {
      throw failed(errno, "sendmsg");
    }
  }
}

bool Connection::wait(Deadline deadline) const {
  return poll_until(POLLIN, deadline);
}

bool Connection::wait_for_hangup(int end) const {
  pollfd entries[] = {{socket_.get(), 0, 0}, {end, POLLIN, 0}};  // POLLHUP comes unasked
  while (::poll(entries, std::size(entries), -1) < 0 && errno == EINTR) {
  }
  return (entries[0].revents & (POLLHUP | POLLERR)) != 0;
}

std::optional<Message> Connection::receive(Deadline deadline) {
  std::string text;
  std::vector<UniqueFd> fds;
  while (!text.ends_with('\0')) {
    if (!wait(deadline)) {
      throw Error(ErrorKind::unavailable, ETIMEDOUT, "no answer on the control connection in time");
    }
    if (!receive_some(text, fds)) {
      if (text.empty()) return std::nullopt;
      throw broken("half a message");
    }
    if (fds.size() > limits_.fds) throw broken("too many descriptors with one message");
    if (text.size() > limits_.bytes) throw broken("a message that is too large");
  }
  text.pop_back();
  return Message{parse_body(text), std::move(fds)};
}

// Looking for the NUL first (MSG_PEEK) and never reading past it keeps each descriptor with its own message,
// however the sender and the kernel cut the stream: a read ends with the bytes that its descriptors came
// with, but it may begin earlier.
bool Connection::receive_some(std::string& text, std::vector<UniqueFd>& fds) const {
  std::array<char, kChunkBytes> chunk;
  const ssize_t seen = ::recv(socket_.get(), chunk.data(), chunk.size(), MSG_PEEK | MSG_DONTWAIT);
  if (seen < 0 && (errno == EAGAIN || errno == EINTR)) return true;
  if (seen < 0) throw failed(errno, "recv");
  const auto end = std::find(chunk.begin(), chunk.begin() + seen, '\0');
  const size_t wanted = static_cast<size_t>(end - chunk.begin()) + (end == chunk.begin() + seen ? 0 : 1);
  if (wanted == 0) return false;

  iovec bytes{chunk.data(), wanted};
  alignas(cmsghdr) FdControl control{};
  msghdr header{};
  header.msg_iov = &bytes;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  const ssize_t count = ::recvmsg(socket_.get(), &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (count < 0) throw failed(errno, "recvmsg");
  collect(header, fds);
  if ((header.msg_flags & MSG_CTRUNC) != 0) throw broken("more descriptors than one message may bring");
  text.append(chunk.data(), static_cast<size_t>(count));
  return count > 0;
}

void Connection::stop_reading() const {
  ::shutdown(socket_.get(), SHUT_RD);
}

}  // namespace erofs_oci
