// SPDX-License-Identifier: Apache-2.0
#include "nbd/handshake.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <future>

#include "base/bytes.h"
#include "base/error.h"
#include "nbd/protocol.h"

namespace erofs_oci::nbd {
namespace {

using namespace std::chrono_literals;
using Outcome = std::optional<Negotiated>;

/// A client that speaks byte by byte.
class HandshakeTest : public testing::Test {
 protected:
  void SetUp() override {
    int pair[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    client_ = UniqueFd(pair[0]);
    server_ = UniqueFd(pair[1]);
    const timeval limit{5, 0};
    ::setsockopt(client_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    outcome_ = std::async(std::launch::async, [this] {
      auto result = negotiate(server_.get(), {"tools", 123 * 512, 512}, limit_);
      return result;
    });
  }
  void TearDown() override { client_.reset(); }

  template <typename T>
  T get() {
    T value{};
    EXPECT_EQ(::recv(client_.get(), &value, sizeof value, MSG_WAITALL), static_cast<ssize_t>(sizeof value));
    return byte_swap(value);
  }
  template <std::integral T>
  void put(T value) {
    value = byte_swap(value);
    ::send(client_.get(), &value, sizeof value, MSG_NOSIGNAL);
  }
  void put(std::string_view text) { ::send(client_.get(), text.data(), text.size(), MSG_NOSIGNAL); }
  void greet(uint32_t flags = kFlagFixedNewstyle | kFlagNoZeroes) {
    EXPECT_EQ(get<uint64_t>(), kInitMagic);
    EXPECT_EQ(get<uint64_t>(), kOptionMagic);
    EXPECT_EQ(get<uint16_t>(), kFlagFixedNewstyle | kFlagNoZeroes);
    put(flags);
  }
  void option(Option number, uint32_t length) {
    put(kOptionMagic);
    put(static_cast<uint32_t>(number));
    put(length);
  }
  /// The type of an option's reply; its data is left to read.
  std::pair<OptionReply, uint32_t> reply(Option to) {
    EXPECT_EQ(get<uint64_t>(), kOptionReplyMagic);
    EXPECT_EQ(get<uint32_t>(), static_cast<uint32_t>(to));
    const auto type = static_cast<OptionReply>(get<uint32_t>());
    return {type, get<uint32_t>()};
  }
  void go(std::string_view name) {
    option(Option::go, static_cast<uint32_t>(6 + name.size()));
    put(static_cast<uint32_t>(name.size()));
    put(name);
    put(uint16_t{0});
  }

  std::chrono::milliseconds limit_ = 5s;
  UniqueFd client_;
  UniqueFd server_;
  std::future<Outcome> outcome_;
};

TEST_F(HandshakeTest, GoDescribesTheExportAndStarts) {
  greet();
  go("");
  EXPECT_EQ(reply(Option::go), std::pair(OptionReply::info, 12u));
  EXPECT_EQ(get<uint16_t>(), kInfoExport);
  EXPECT_EQ(get<uint64_t>(), 123u * 512);
  EXPECT_EQ(get<uint16_t>(), kHasFlags | kReadOnly | kCanMultiConn);
  EXPECT_EQ(reply(Option::go), std::pair(OptionReply::info, 14u));
  EXPECT_EQ(get<uint16_t>(), kInfoBlockSize);
  EXPECT_EQ(get<uint32_t>(), 1u);
  EXPECT_EQ(get<uint32_t>(), 4096u);
  EXPECT_EQ(get<uint32_t>(), kMaxRequest);
  EXPECT_EQ(reply(Option::go).first, OptionReply::ack);
  EXPECT_FALSE(outcome_.get()->structured_replies);
}

TEST_F(HandshakeTest, AForeignNameIsUnknownAndTheClientMayTryAgain) {
  greet();
  go("other");
  EXPECT_EQ(reply(Option::go).first, OptionReply::unknown);
  go("tools");
  EXPECT_EQ(reply(Option::go).first, OptionReply::info);
  EXPECT_TRUE(outcome_.get());
}

TEST_F(HandshakeTest, StructuredRepliesAreAgreed) {
  greet();
  option(Option::structured_reply, 0);
  EXPECT_EQ(reply(Option::structured_reply).first, OptionReply::ack);
  go("");
  EXPECT_EQ(reply(Option::go).first, OptionReply::info);
  EXPECT_TRUE(outcome_.get()->structured_replies);
}

TEST_F(HandshakeTest, ExportNameGetsTheOldAnswer) {
  greet(kFlagFixedNewstyle);
  option(Option::export_name, 0);
  EXPECT_EQ(get<uint64_t>(), 123u * 512);
  get<uint16_t>();
  std::array<char, 124> zeros;
  EXPECT_EQ(::recv(client_.get(), zeros.data(), zeros.size(), MSG_WAITALL), 124);
  EXPECT_TRUE(outcome_.get());
}

TEST_F(HandshakeTest, ListNamesTheExport) {
  greet();
  option(Option::list, 0);
  EXPECT_EQ(reply(Option::list), std::pair(OptionReply::server, 9u));
  EXPECT_EQ(get<uint32_t>(), 5u);
  std::array<char, 5> name;
  EXPECT_EQ(::recv(client_.get(), name.data(), name.size(), MSG_WAITALL), 5);
  EXPECT_EQ(std::string_view(name.data(), 5), "tools");
  EXPECT_EQ(reply(Option::list).first, OptionReply::ack);
}

TEST_F(HandshakeTest, AbortIsAcknowledgedAndEnds) {
  greet();
  option(Option::abort, 0);
  EXPECT_EQ(reply(Option::abort).first, OptionReply::ack);
  EXPECT_FALSE(outcome_.get());
}

TEST_F(HandshakeTest, UnknownMalformedAndHugeOptionsAreRefusedOneByOne) {
  greet();
  option(static_cast<Option>(77), 3);
  put("abc");
  EXPECT_EQ(reply(static_cast<Option>(77)).first, OptionReply::unsupported);
  option(Option::go, 2);
  put("xx");
  EXPECT_EQ(reply(Option::go).first, OptionReply::invalid);
  option(Option::info, 6);
  put(uint32_t{0xffffffff});
  put(uint16_t{0});
  EXPECT_EQ(reply(Option::info).first, OptionReply::invalid);
  option(Option::list, 100'000);
  put(std::string(100'000, 'x'));
  EXPECT_EQ(reply(Option::list).first, OptionReply::too_big);
  go("");
  EXPECT_EQ(reply(Option::go).first, OptionReply::info);
}

TEST_F(HandshakeTest, AClientThatLeavesIsNoError) {
  greet();
  client_.reset();
  EXPECT_FALSE(outcome_.get());
}

TEST_F(HandshakeTest, GarbageIsAnError) {
  greet();
  put(std::string(100, 'g'));
  EXPECT_THROW(outcome_.get(), Error);
}

TEST(HandshakeTimeLimit, EndsAClientThatSaysNothing) {
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  const UniqueFd client(pair[0]), server(pair[1]);
  EXPECT_THROW(negotiate(server.get(), {"x", 512, 512}, 50ms), Error);
}

}  // namespace
}  // namespace erofs_oci::nbd
