// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "control/client.h"
#include "control/server.h"

namespace erofs_oci {

inline Deadline soon() {
  return deadline_in(std::chrono::seconds(20));
}

inline std::string with_nul(std::string text) {
  return text.append(1, '\0');
}

/// What `body` throws.
template <typename Body>
Error error_of(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "nothing was thrown";
  return Error(ErrorKind::system, "");
}

inline Method echo() {
  return {"Echo", Method::Right::anyone, Method::Replies::one, [](Call& call) { return call.parameters; }};
}

inline Method counting() {
  return {"Count", Method::Right::owner, Method::Replies::one, [](Call& call) {
            for (int i = 1; i <= 2; ++i) call.progress({{"done", i}});
            return nlohmann::json{{"sum", 3}};
          }};
}

/// A Server on a socket in a folder of its own.
class ServerFixture : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = "/tmp/control_test.XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    std::filesystem::permissions(folder_, std::filesystem::perms(0755));
    path_ = folder_ / "control";
  }
  void TearDown() override {
    server_.reset();
    std::filesystem::remove_all(folder_);
  }

  UniqueFd listen(int backlog = 256) const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, path_.c_str());
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(socket.get(), backlog), 0);
    std::filesystem::permissions(path_, std::filesystem::perms(0777));
    return socket;
  }

  void serve(std::vector<Method> methods, ServerLimits limits = {}) {
    server_ = std::make_unique<Server>(listen(), std::move(methods), ::geteuid(), limits);
  }

  Client client() const { return Client(path_, soon()); }

  /// A bare connection, for what Client would never send.
  UniqueFd raw() const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, path_.c_str());
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    return socket;
  }
  static void write(const UniqueFd& socket, std::string_view text) {
    ASSERT_EQ(::send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }
  /// Everything until the server closes the connection.
  static std::string read_all(const UniqueFd& socket) {
    std::string text;
    char buffer[4096];
    for (ssize_t count; (count = ::recv(socket.get(), buffer, sizeof buffer, 0)) > 0;) {
      text.append(buffer, static_cast<size_t>(count));
    }
    return text;
  }
  std::string exchange(std::string_view text) const {
    const UniqueFd socket = raw();
    write(socket, text);
    ::shutdown(socket.get(), SHUT_WR);
    return read_all(socket);
  }

  std::filesystem::path folder_;
  std::filesystem::path path_;
  std::unique_ptr<Server> server_;
};

}  // namespace erofs_oci
