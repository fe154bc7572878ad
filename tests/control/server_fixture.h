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

#include "control/client.h"
#include "control/server.h"

namespace erofs_oci {

inline Deadline soon() {
  return deadline_in(std::chrono::seconds(20));
}

/// A Server on a socket in a folder of its own.
class ServerFixture : public testing::Test {
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

  std::filesystem::path folder_;
  std::filesystem::path path_;
  std::unique_ptr<Server> server_;
};

}  // namespace erofs_oci
