// SPDX-License-Identifier: Apache-2.0
// Who may call what, how many and how long, and how a server stops.
#include <fcntl.h>
#include <sys/syscall.h>

#include <atomic>
#include <future>
#include <thread>

#include "base/error.h"
#include "control/server.h"
#include "control/server_fixture.h"

namespace erofs_oci {
namespace {

using json = nlohmann::json;
using namespace std::chrono_literals;

using ServerLimitsTest = ServerFixture;

/// Streams until it fails or the server stops; then says so.
Method endless(std::promise<void>& ended) {
  return {"Stream", Method::Right::anyone, Method::Replies::stream, [&](Call& call) {
            try {
              while (!call.stop.stop_requested()) call.progress({{"text", std::string(10'000, 'x')}});
            } catch (const Error&) {
              ended.set_value();
              throw;
            }
            ended.set_value();
            return json{{"stopped", true}};
          }};
}

/// Whether `call` succeeds within seconds.
bool eventually(const std::function<void()>& call) {
  for (const Deadline end = soon(); std::chrono::steady_clock::now() < end;
       std::this_thread::sleep_for(5ms)) {
    try {
      call();
      return true;
    } catch (const Error&) {
      // A place is free only once the thread of the connection has noticed the end.
    }
  }
  return false;
}

/// Runs `body` in a thread that has another uid than the process (Linux keeps them apart), as peers of the
/// socket see it.
void as_nobody(const std::function<void()>& body) {
  std::thread([&] {
    constexpr uid_t kNobody = 65534;
    ASSERT_EQ(::syscall(SYS_setresuid, kNobody, kNobody, kNobody), 0);
    body();
  }).join();
}

#define NEEDS_ROOT() \
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to become another user"

TEST_F(ServerLimitsTest, LetsOthersAskButChangeNothing) {
  NEEDS_ROOT();
  bool ran = false;
  serve({echo(), {"Change", Method::Right::owner, Method::Replies::one, [&](Call&) {
                    ran = true;
                    return json::object();
                  }}});
  as_nobody([&] {
    Client one = client();
    const Error error = error_of([&] { one.call("Change", json::object(), {}, soon()); });
    EXPECT_EQ(error.kind(), ErrorKind::denied);
    EXPECT_STREQ(error.what(), "the daemon takes this from root only");
    EXPECT_EQ(one.call("Echo", {{"a", 1}}, {}, soon())["a"], 1);
  });
  EXPECT_FALSE(ran);
}

TEST_F(ServerLimitsTest, LetsItsOwnerChange) {
  NEEDS_ROOT();
  server_ = std::make_unique<Server>(listen(), std::vector{counting()}, 65534);
  as_nobody([&] { EXPECT_EQ(client().call("Count", json::object(), {}, soon())["sum"], 3); });
}

TEST_F(ServerLimitsTest, TakesShortMessagesOnlyFromOthers) {
  NEEDS_ROOT();
  serve({echo()});
  const json long_text = {{"a", std::string(kMaxQuestionBytes, 'x')}};
  EXPECT_EQ(client().call("Echo", long_text, {}, soon()), long_text);
  as_nobody([&] {
    EXPECT_EQ(error_of([&] { client().call("Echo", long_text, {}, soon()); }).kind(), ErrorKind::unavailable);
  });
}

TEST_F(ServerLimitsTest, ServesAsManyConnectionsAsItsLimitAndSendsTheNextAway) {
  serve({echo()});
  std::vector<Client> clients;
  for (size_t i = 0; i < ServerLimits().connections; ++i) {
    clients.push_back(client());
    EXPECT_EQ(clients.back().call("Echo", {{"i", i}}, {}, soon())["i"], i);
  }
  Client beyond = client();
  EXPECT_EQ(error_of([&] { beyond.call("Echo", json::object(), {}, soon()); }).kind(), ErrorKind::busy);
  clients.pop_back();
  EXPECT_TRUE(eventually([&] { client().call("Echo", json::object(), {}, soon()); }));
}

TEST_F(ServerLimitsTest, KeepsRoomForItsOwner) {
  NEEDS_ROOT();
  ServerLimits limits;
  limits.unprivileged_connections = 1;
  serve({echo()}, limits);
  std::vector<Client> others;
  as_nobody([&] {
    others.push_back(client());
    others.back().call("Echo", json::object(), {}, soon());
    EXPECT_EQ(error_of([&] { client().call("Echo", json::object(), {}, soon()); }).kind(), ErrorKind::busy);
  });
  EXPECT_EQ(client().call("Echo", {{"a", 1}}, {}, soon())["a"], 1);
}

TEST_F(ServerLimitsTest, ClosesConnectionsThatAreIdleOrSlow) {
  ServerLimits limits;
  limits.idle = 50ms;
  limits.message = 50ms;
  serve({echo()}, limits);
  const UniqueFd idle = raw();
  const UniqueFd slow = raw();
  write(slow, "{\"method\"");
  EXPECT_EQ(read_all(idle), "");
  EXPECT_EQ(read_all(slow), "");
}

TEST_F(ServerLimitsTest, ServesOthersWhileOneIsSlow) {
  serve({echo()});
  const UniqueFd slow = raw();
  write(slow, "{");
  EXPECT_EQ(client().call("Echo", {{"a", 1}}, {}, soon())["a"], 1);
}

TEST_F(ServerLimitsTest, GivesUpOnACallerThatDoesNotRead) {
  std::promise<void> ended;
  ServerLimits limits;
  limits.reply = 50ms;
  serve({endless(ended)}, limits);
  const UniqueFd socket = raw();
  write(socket, with_nul(R"({"method":"io.github.erofs-oci.Stream","more":true})"));
  EXPECT_EQ(ended.get_future().wait_for(20s), std::future_status::ready);
}

TEST_F(ServerLimitsTest, TellsTheHandlerThatTheCallerIsGone) {
  std::promise<void> ended;
  serve({endless(ended)});
  {
    const UniqueFd socket = raw();
    write(socket, with_nul(R"({"method":"io.github.erofs-oci.Stream","more":true})"));
  }
  EXPECT_EQ(ended.get_future().wait_for(20s), std::future_status::ready);
}

TEST_F(ServerLimitsTest, StopsWithOpenConnectionsAtOnce) {
  serve({echo()});
  std::vector<UniqueFd> sockets;
  for (int i = 0; i < 50; ++i) sockets.push_back(raw());
  write(sockets[0], "{");
  client().call("Echo", json::object(), {}, soon());
  const auto start = std::chrono::steady_clock::now();
  server_->stop();
  EXPECT_LT(std::chrono::steady_clock::now() - start, 5s);
  for (const UniqueFd& socket : sockets) EXPECT_EQ(read_all(socket), "");
  server_->stop();
}

TEST_F(ServerLimitsTest, StopTellsHandlersAndLetsThemAnswer) {
  std::promise<void> ended;
  serve({endless(ended)});
  Client one = client();
  std::promise<void> streaming;
  std::atomic<bool> first{true};
  auto last = std::async(std::launch::async, [&] {
    return one.call_more("Stream", json::object(), {}, 20s, [&](const json&) {
      if (first.exchange(false)) streaming.set_value();
    });
  });
  streaming.get_future().wait();
  server_->stop();
  EXPECT_EQ(last.get()["stopped"], true);
}

TEST_F(ServerLimitsTest, StopLeavesASocketThatIsHeldElsewhereListening) {
  const UniqueFd listener = listen();
  server_ =
      std::make_unique<Server>(UniqueFd(::fcntl(listener.get(), F_DUPFD_CLOEXEC, 0)), std::vector{echo()});
  server_.reset();
  Client waiting = client();
  server_ = std::make_unique<Server>(UniqueFd(::fcntl(listener.get(), F_DUPFD_CLOEXEC, 0)),
                                     std::vector{echo()}, ::geteuid());
  EXPECT_EQ(waiting.call("Echo", {{"a", 1}}, {}, soon())["a"], 1);
}

}  // namespace
}  // namespace erofs_oci
