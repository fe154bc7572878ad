// SPDX-License-Identifier: Apache-2.0
#include "control/connection.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cstring>
#include <thread>

#include "base/error.h"

namespace erofs_oci {
namespace {

using json = nlohmann::json;
using testing::HasSubstr;
using namespace std::chrono_literals;

Deadline soon() {
  return deadline_in(20s);
}

/// A Connection and the bare socket at its other end.
struct Pair {
  explicit Pair(MessageLimits limits = {}) : Pair(make(), limits) {}
  UniqueFd raw;
  Connection connection;

 private:
  using Ends = std::pair<UniqueFd, UniqueFd>;
  static Ends make() {
    int fds[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    return {UniqueFd(fds[0]), UniqueFd(fds[1])};
  }
  Pair(Ends ends, MessageLimits limits)
      : raw(std::move(ends.first)), connection(std::move(ends.second), limits) {}
};

void write(const Pair& pair, std::string_view text, const std::vector<int>& fds = {}) {
  iovec bytes{const_cast<char*>(text.data()), text.size()};
  msghdr header{};
  header.msg_iov = &bytes;
  header.msg_iovlen = 1;
  std::vector<char> control(CMSG_SPACE(fds.size() * sizeof(int)));
  if (!fds.empty()) {
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    cmsghdr* part = CMSG_FIRSTHDR(&header);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
    std::memcpy(CMSG_DATA(part), fds.data(), fds.size() * sizeof(int));
  }
  ASSERT_EQ(::sendmsg(pair.raw.get(), &header, MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
}

std::string with_nul(std::string text) {
  return text.append(1, '\0');
}

std::string failure(Pair& pair, Deadline deadline = soon()) {
  try {
    pair.connection.receive(deadline);
  } catch (const Error& error) {
    return fmt::format("{}: {}", to_string(error.kind()), error.what());
  }
  return "";
}

struct Pipe {
  Pipe() {
    int fds[2];
    EXPECT_EQ(::pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    read.reset(fds[0]);
    write.reset(fds[1]);
  }
  /// Whether no write end is open anywhere any more.
  bool hung_up() const {
    char byte = 0;
    return ::read(read.get(), &byte, 1) == 0;
  }
  UniqueFd read;
  UniqueFd write;
};

bool same_file(int a, int b) {
  struct stat first {};
  struct stat second {};
  return ::fstat(a, &first) == 0 && ::fstat(b, &second) == 0 && first.st_ino == second.st_ino;
}

TEST(Connection, SendsJsonAndANulByte) {
  Pair pair;
  pair.connection.send({{"a", "ü"}}, {}, soon());
  char buffer[100];
  const ssize_t count = ::recv(pair.raw.get(), buffer, sizeof buffer, 0);
  EXPECT_EQ(std::string(buffer, static_cast<size_t>(count)), with_nul("{\"a\":\"ü\"}"));
}

TEST(Connection, SendsBytesThatAreNotUtf8AsReplacementCharacters) {
  Pair pair;
  pair.connection.send({{"a", "\xff"}}, {}, soon());
  char buffer[100];
  const ssize_t count = ::recv(pair.raw.get(), buffer, sizeof buffer, 0);
  EXPECT_EQ(std::string(buffer, static_cast<size_t>(count)), with_nul("{\"a\":\"\xef\xbf\xbd\"}"));
}

TEST(Connection, ReceivesAMessageByteByByte) {
  Pair pair;
  const std::string text = with_nul("{\"key\": [1, 2]}");
  std::thread sender([&] {
    for (const char& byte : text) write(pair, {&byte, 1});
  });
  EXPECT_EQ(pair.connection.receive(soon())->body, (json{{"key", {1, 2}}}));
  sender.join();
}

TEST(Connection, ReceivesSeveralMessagesOfOneWrite) {
  Pair pair;
  write(pair, with_nul("{\"n\":1}") + with_nul("{\"n\":2}") + with_nul("{\"n\":3}"));
  for (int n = 1; n <= 3; ++n) EXPECT_EQ(pair.connection.receive(soon())->body["n"], n);
}

TEST(Connection, ReceivesAMessageOfSeveralMegabytes) {
  Pair pair;
  const std::string text(3'000'000, 'x');
  std::thread sender([&] { Connection(std::move(pair.raw)).send({{"text", text}}, {}, soon()); });
  EXPECT_EQ(pair.connection.receive(soon())->body["text"].get<std::string>(), text);
  sender.join();
}

TEST(Connection, EndsQuietlyBetweenMessagesOnly) {
  Pair quiet;
  write(quiet, with_nul("{}"));
  quiet.raw.reset();
  EXPECT_TRUE(quiet.connection.receive(soon()));
  EXPECT_FALSE(quiet.connection.receive(soon()));
  Pair cut;
  write(cut, "{\"half\":");
  cut.raw.reset();
  EXPECT_THAT(failure(cut), HasSubstr("corrupt: the control connection brought half a message"));
}

TEST(Connection, RefusesWhatIsNoMessage) {
  for (const std::string text :
       {"", " ", "x", "{", "[]", "1", "null", "{}{}", "{\"a\":\"\xff\"}", "{'a':1}"}) {
    Pair pair;
    write(pair, with_nul(text));
    EXPECT_THAT(failure(pair), HasSubstr("corrupt: the control connection brought a message that is not"))
        << text;
  }
  Pair flood;
  write(flood, std::string(1000, '\0'));
  EXPECT_THAT(failure(flood), HasSubstr("a message that is not JSON"));
}

TEST(Connection, RefusesNestingBeyondItsLimit) {
  const auto nested = [](int depth) {
    return with_nul("{\"a\":" + std::string(static_cast<size_t>(depth), '[') +
                    std::string(static_cast<size_t>(depth), ']') + "}");
  };
  Pair good;
  write(good, nested(kMaxMessageDepth - 1));
  EXPECT_EQ(failure(good), "");
  Pair deep;
  write(deep, nested(50'000));
  EXPECT_THAT(failure(deep), HasSubstr("nested too deeply"));
}

TEST(Connection, RefusesMoreThanItsLimitBeforeTheMessageEnds) {
  Pair pair({.bytes = 1000});
  write(pair, std::string(1001, ' '));
  EXPECT_THAT(failure(pair),
              HasSubstr("corrupt: the control connection brought a message that is too large"));
  Pair exact({.bytes = 1000});
  write(exact, with_nul("{}" + std::string(997, ' ')));
  EXPECT_EQ(failure(exact), "");
}

TEST(Connection, RefusesToSendMoreThanTheLimit) {
  Pair pair;
  EXPECT_THROW(pair.connection.send({{"a", std::string(kMaxMessageBytes, 'x')}}, {}, soon()), Error);
}

TEST(Connection, KeepsDescriptorsWithTheirMessage) {
  Pair pair;
  Connection sender(std::move(pair.raw));
  const Pipe one;
  const Pipe two;
  sender.send({{"n", 0}}, {}, soon());
  sender.send({{"n", 1}}, std::array{one.write.get(), one.read.get()}, soon());
  sender.send({{"n", 2}}, {}, soon());
  sender.send({{"n", 3}}, std::array{two.read.get()}, soon());
  EXPECT_TRUE(pair.connection.receive(soon())->fds.empty());
  const auto first = pair.connection.receive(soon());
  ASSERT_EQ(first->fds.size(), 2u);
  EXPECT_TRUE(same_file(first->fds[0].get(), one.write.get()));
  EXPECT_TRUE(pair.connection.receive(soon())->fds.empty());
  const auto last = pair.connection.receive(soon());
  ASSERT_EQ(last->fds.size(), 1u);
  EXPECT_TRUE(same_file(last->fds[0].get(), two.read.get()));
}

TEST(Connection, BindsDescriptorsToTheMessageWhoseBytesTheyCameWith) {
  Pair pair;
  const Pipe pipe;
  write(pair, "{\"n\":");
  write(pair, with_nul("1}") + with_nul("{\"n\":2}"), {pipe.read.get()});
  EXPECT_EQ(pair.connection.receive(soon())->fds.size(), 1u);
  EXPECT_EQ(pair.connection.receive(soon())->fds.size(), 0u);
}

TEST(Connection, KeepsDescriptorsOfAMessageThatIsLongerThanAnyRead) {
  Pair pair;
  const Pipe pipe;
  std::thread sender([&] {
    Connection(std::move(pair.raw))
        .send({{"text", std::string(500'000, 'x')}}, std::array{pipe.read.get()}, soon());
  });
  EXPECT_EQ(pair.connection.receive(soon())->fds.size(), 1u);
  sender.join();
}

TEST(Connection, ReceivesDescriptorsThatCloseOnExec) {
  Pair pair;
  const Pipe pipe;
  write(pair, with_nul("{}"), {pipe.read.get()});
  EXPECT_EQ(::fcntl(pair.connection.receive(soon())->fds.at(0).get(), F_GETFD), FD_CLOEXEC);
}

TEST(Connection, TakesAsManyDescriptorsAsItsLimitAndClosesThemAllBeyond) {
  for (const size_t count : {kMaxQuestionFds, kMaxQuestionFds + 1, kMaxMessageFds}) {
    Pair pair({.fds = kMaxQuestionFds});
    Pipe pipe;
    write(pair, with_nul("{}"), std::vector<int>(count, pipe.write.get()));
    pipe.write.reset();
    EXPECT_EQ(failure(pair).empty(), count == kMaxQuestionFds) << count;
    EXPECT_TRUE(pipe.hung_up()) << count;
  }
}

TEST(Connection, TakesAsManyDescriptorsAsTheKernelSends) {
  Pair pair;
  const Pipe pipe;
  write(pair, with_nul("{}"), std::vector<int>(kMaxMessageFds, pipe.write.get()));
  EXPECT_EQ(pair.connection.receive(soon())->fds.size(), kMaxMessageFds);
}

TEST(Connection, RefusesDescriptorsThatComeInManyParts) {
  Pair pair;
  Pipe pipe;
  for (size_t i = 0; i <= kMaxMessageFds; ++i) write(pair, " ", {pipe.write.get()});
  pipe.write.reset();
  EXPECT_THAT(failure(pair), HasSubstr("too many descriptors with one message"));
  pair.raw.reset();
  EXPECT_TRUE(pipe.hung_up());
}

TEST(Connection, GivesUpOnASlowSenderAtTheDeadline) {
  Pair pair;
  write(pair, "{");
  const auto start = std::chrono::steady_clock::now();
  EXPECT_THAT(failure(pair, deadline_in(50ms)),
              HasSubstr("unavailable: no answer on the control connection in time"));
  EXPECT_GE(std::chrono::steady_clock::now() - start, 50ms);
}

TEST(Connection, GivesUpOnASlowReaderAtTheDeadline) {
  Pair pair;
  try {
    pair.connection.send({{"a", std::string(3'000'000, 'x')}}, {}, deadline_in(50ms));
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::unavailable);
    EXPECT_EQ(error.errno_value(), ETIMEDOUT);
  }
}

TEST(Connection, ReportsAPeerThatIsGoneWithoutASignal) {
  Pair pair;
  pair.raw.reset();
  try {
    pair.connection.send({{"a", 1}}, {}, soon());
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::unavailable);
  }
}

TEST(Connection, StopReadingEndsAReceiveButNotTheSending) {
  Pair pair;
  std::thread stopper([&] {
    std::this_thread::sleep_for(20ms);
    pair.connection.stop_reading();
  });
  EXPECT_FALSE(pair.connection.receive(soon()));
  stopper.join();
  pair.connection.send({{"last", 1}}, {}, soon());
  EXPECT_TRUE(Connection(std::move(pair.raw)).receive(soon()));
}

TEST(Connection, KnowsItsPeer) {
  Pair pair;
  EXPECT_EQ(pair.connection.peer().pid, ::getpid());
  EXPECT_EQ(pair.connection.peer().uid, ::geteuid());
}

}  // namespace
}  // namespace erofs_oci
