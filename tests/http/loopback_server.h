// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <strings.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/byte_range.h"
#include "base/error.h"
#include "base/text.h"
#include "base/unique_fd.h"

namespace erofs_oci::test {

using HeaderList = std::vector<std::pair<std::string, std::string>>;

/// A request as the server saw it.
struct SeenRequest {
  std::string method;
  std::string target;  ///< path and query
  HeaderList headers;
  std::string body;

  /// The first value of the field, "" where it is absent.
  std::string header(std::string_view name) const {
    for (const auto& [key, value] : headers) {
      if (key.size() == name.size() && ::strncasecmp(key.data(), name.data(), name.size()) == 0) return value;
    }
    return {};
  }
  /// What a Range field of one range asks for.
  std::optional<ByteRange> range() const {
    const std::string value = header("Range");
    const size_t dash = value.find('-');
    if (!value.starts_with("bytes=") || dash == std::string::npos) return std::nullopt;
    const auto first = parse_u64(std::string_view(value).substr(6, dash - 6));
    const auto last = parse_u64(std::string_view(value).substr(dash + 1));
    if (!first || !last) return std::nullopt;
    return ByteRange::from_to(*first, *last + 1);
  }
};

/// What to answer, and how to break it.
struct Reply {
  enum class End { keep_alive, close, reset, stall };

  int status = 200;
  HeaderList headers;
  std::string body;
  std::optional<size_t> cut_after;            ///< bytes of the body that are sent before `end` happens
  End end = End::keep_alive;                  ///< stall: sends nothing more, until the server stops
  std::chrono::milliseconds delay{0};         ///< before the status line
  std::chrono::milliseconds trickle{0};       ///< after each KiB of the body
  std::optional<size_t> content_length = {};  ///< stated instead of the body's; chunked is not spoken

  static Reply text(int status, std::string body) {
    Reply reply;
    reply.status = status;
    reply.body = std::move(body);
    return reply;
  }
  static Reply redirect(int status, std::string to) {
    return text(status, "").with("Location", std::move(to));
  }

  /// A 206 with `range` of `content`.
  static Reply partial(std::string_view content, ByteRange range) {
    return text(206, std::string(content.substr(range.offset, range.length)))
        .with("Content-Range", fmt::format("bytes {}-{}/{}", range.offset, range.end() - 1, content.size()));
  }
  /// As a good server answers: the range asked for, cut to what there is, or everything.
  static Reply content(std::string_view content, const SeenRequest& request) {
    const auto range = request.range();
    if (!range) return text(200, std::string(content));
    if (range->offset >= content.size()) return text(416, "");
    return partial(content, range->intersect({0, content.size()}));
  }

  Reply&& with(std::string name, std::string value) && {
    headers.emplace_back(std::move(name), std::move(value));
    return std::move(*this);
  }
  Reply&& cut(size_t after, End how) && {
    cut_after = after;
    end = how;
    return std::move(*this);
  }
};

/// An HTTP/1.1 server on a free port of 127.0.0.1 that answers as its handler says and remembers what it was
/// asked. One thread a connection. The handler is called on these threads, one call at a time.
class LoopbackServer {
 public:
  using Handler = std::function<Reply(const SeenRequest&)>;

  explicit LoopbackServer(Handler handler) : handler_(std::move(handler)), listener_(listen_on(0)) {
    acceptor_ = std::thread([this] { accept_connections(); });
  }
  ~LoopbackServer() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      for (Connection& connection : connections_) ::shutdown(connection.socket.get(), SHUT_RDWR);
    }
    stopped_.notify_all();
    ::shutdown(listener_.get(), SHUT_RDWR);
    acceptor_.join();
    for (Connection& connection : connections_) connection.thread.join();
  }
  LoopbackServer(const LoopbackServer&) = delete;
  LoopbackServer& operator=(const LoopbackServer&) = delete;

  uint16_t port() const {
    sockaddr_in address{};
    socklen_t length = sizeof address;
    ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &length);
    return ntohs(address.sin_port);
  }
  /// "127.0.0.1:40000"
  std::string address() const { return fmt::format("127.0.0.1:{}", port()); }
  std::string url(std::string_view target) const { return fmt::format("http://{}{}", address(), target); }

  /// Everything asked so far, in order of arrival.
  std::vector<SeenRequest> seen() const {
    const std::lock_guard lock(mutex_);
    return seen_;
  }
  size_t connection_count() const {
    const std::lock_guard lock(mutex_);
    return connections_.size();
  }
  /// Those whose target begins with `prefix`.
  std::vector<SeenRequest> seen(std::string_view prefix) const {
    std::vector<SeenRequest> out = seen();
    std::erase_if(out, [&](const SeenRequest& request) { return !request.target.starts_with(prefix); });
    return out;
  }

 private:
  struct Connection {
    UniqueFd socket;
    std::thread thread;
  };

  static UniqueFd listen_on(uint16_t port) {
    UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(socket.get(), 128) != 0) {
      throw errno_error("loopback server");
    }
    return socket;
  }

  void accept_connections() {
    while (true) {
      UniqueFd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      const int on = 1;
      ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      const std::lock_guard lock(mutex_);
      if (stopping_ || !socket) return;
      Connection& connection = connections_.emplace_back();
      connection.socket = std::move(socket);
      connection.thread = std::thread([this, fd = connection.socket.get()] { serve(fd); });
    }
  }

  void serve(int fd) {
    std::string buffer;
    while (const auto request = read_request(fd, buffer)) {
      Reply reply;
      {
        const std::lock_guard lock(mutex_);
        seen_.push_back(*request);
      }
      {
        const std::lock_guard lock(handler_mutex_);
        reply = handler_(*request);
      }
      if (!send_reply(fd, reply)) break;
    }
    const std::lock_guard lock(mutex_);
    for (Connection& connection : connections_) {
      if (connection.socket.get() == fd) connection.socket.reset();
    }
  }

  static std::optional<SeenRequest> read_request(int fd, std::string& buffer) {
    size_t end = 0;
    while ((end = buffer.find("\r\n\r\n")) == std::string::npos) {
      if (!receive(fd, buffer)) return std::nullopt;
      if (buffer.front() == '\x16') return std::nullopt;  // a TLS handshake; plain servers hang up
    }
    SeenRequest request = parse_head(buffer.substr(0, end + 2));
    buffer.erase(0, end + 4);
    const uint64_t length = parse_u64(request.header("Content-Length")).value_or(0);
    while (buffer.size() < length) {
      if (!receive(fd, buffer)) return std::nullopt;
    }
    request.body = buffer.substr(0, length);
    buffer.erase(0, length);
    return request;
  }

  static bool receive(int fd, std::string& buffer) {
    char piece[16384];
    const ssize_t count = ::recv(fd, piece, sizeof piece, 0);
    if (count > 0) buffer.append(piece, static_cast<size_t>(count));
    return count > 0;
  }

  static SeenRequest parse_head(std::string_view head) {
    SeenRequest request;
    const std::string_view first = head.substr(0, head.find("\r\n"));
    request.method = first.substr(0, first.find(' '));
    const size_t target = request.method.size() + 1;
    request.target = first.substr(target, first.rfind(' ') - target);
    for (head.remove_prefix(first.size() + 2); !head.empty();) {
      const std::string_view line = head.substr(0, head.find("\r\n"));
      const size_t colon = line.find(": ");
      if (colon != std::string_view::npos)
        request.headers.emplace_back(line.substr(0, colon), line.substr(colon + 2));
      head.remove_prefix(line.size() + 2);
    }
    return request;
  }

  // False: the connection is over.
  bool send_reply(int fd, const Reply& reply) {
    if (!wait(reply.delay)) return false;
    std::string head = fmt::format("HTTP/1.1 {} Scripted\r\n", reply.status);
    for (const auto& [name, value] : reply.headers) head += fmt::format("{}: {}\r\n", name, value);
    head += fmt::format("Content-Length: {}\r\n\r\n", reply.content_length.value_or(reply.body.size()));
    const std::string_view body =
        std::string_view(reply.body).substr(0, reply.cut_after.value_or(std::string::npos));
    if (!send_all(fd, head) || !send_body(fd, body, reply.trickle)) return false;
    switch (reply.end) {
      case Reply::End::keep_alive:
        return true;
      case Reply::End::close:
        return false;
      case Reply::End::reset: {
        const linger at_once{1, 0};  // close(2) sends RST
        ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        return false;
      }
      case Reply::End::stall:
        wait(std::chrono::hours(1));
        return false;
    }
    return false;
  }

  bool send_body(int fd, std::string_view body, std::chrono::milliseconds trickle) {
    if (trickle.count() == 0) return send_all(fd, body);
    for (; !body.empty(); body.remove_prefix(std::min<size_t>(body.size(), 1024))) {
      if (!send_all(fd, body.substr(0, 1024)) || !wait(trickle)) return false;
    }
    return true;
  }

  static bool send_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t count = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(count));
    }
    return true;
  }

  // False: the server stopped meanwhile.
  bool wait(std::chrono::milliseconds duration) {
    std::unique_lock lock(mutex_);
    return !stopped_.wait_for(lock, duration, [this] { return stopping_; });
  }

  const Handler handler_;
  UniqueFd listener_;
  std::thread acceptor_;
  std::mutex handler_mutex_;
  mutable std::mutex mutex_;
  std::condition_variable stopped_;
  bool stopping_ = false;
  std::vector<SeenRequest> seen_;
  std::list<Connection> connections_;
};

}  // namespace erofs_oci::test
