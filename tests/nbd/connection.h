// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <vector>

#include "base/file.h"
#include "nbd/server.h"

namespace erofs_oci::nbd {

/// A connection whose predecessor left nothing, of the descriptors that a client hands over.
inline Connection new_connection(std::vector<UniqueFd> fds) {
  return {std::move(fds[0]), ReplyPipe(std::move(fds[1]), std::move(fds[2])), RequestTable::create()};
}

/// The same connection, for a successor.
inline Connection copy_of(const Connection& connection) {
  return {duplicate(connection.socket.get()),
          ReplyPipe(duplicate(connection.pipe.read_fd()), duplicate(connection.pipe.write_fd())),
          RequestTable::adopt(duplicate(connection.table.fd()))};
}

/// A connection and the kernel's end of it, played by a test.
struct TestConnection {
  explicit TestConnection(int pipe_bytes = 1024 * 1024) {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    kernel = UniqueFd(ends[0]);
    const timeval limit{10, 0};
    ::setsockopt(kernel.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    fds.emplace_back(ends[1]);
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    fds.emplace_back(ends[0]);
    fds.emplace_back(ends[1]);
    EXPECT_GE(::fcntl(ends[1], F_SETPIPE_SZ, pipe_bytes), pipe_bytes);
    server.emplace(new_connection(std::move(fds)));
  }

  static std::array<std::byte, kRequestSize> request(uint64_t cookie, ByteRange range,
                                                     Command command = Command::read) {
    std::array<std::byte, kRequestSize> bytes{};
    store_be(bytes.data(), kRequestMagic);
    store_be(bytes.data() + 6, static_cast<uint16_t>(command));
    store_be(bytes.data() + 8, cookie);
    store_be(bytes.data() + 16, range.offset);
    store_be(bytes.data() + 24, static_cast<uint32_t>(range.length));
    return bytes;
  }
  void ask(uint64_t cookie, ByteRange range, Command command = Command::read) const {
    const auto bytes = request(cookie, range, command);
    ASSERT_EQ(::send(kernel.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }

  struct Header {
    uint64_t cookie = 0;
    uint32_t error = 0;
  };
  Header receive_header() const {
    const std::string bytes = receive(kSimpleReplySize);
    EXPECT_EQ(load_be<uint32_t>(bytes.data()), kSimpleReplyMagic);
    return {load_be<uint64_t>(bytes.data() + 8), load_be<uint32_t>(bytes.data() + 4)};
  }
  std::string receive(size_t size) const {
    std::string bytes(size, '\0');
    EXPECT_EQ(::recv(kernel.get(), bytes.data(), size, MSG_WAITALL), static_cast<ssize_t>(size));
    return bytes;
  }
  bool is_closed() const {
    char byte;
    return ::recv(kernel.get(), &byte, 1, MSG_PEEK) == 0;
  }

  std::vector<UniqueFd> fds;
  UniqueFd kernel;
  std::optional<Connection> server;
};

}  // namespace erofs_oci::nbd
