// SPDX-License-Identifier: Apache-2.0
#include "control/server.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/syscall.h>

#include <array>
#include <atomic>
#include <barrier>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <thread>

#include "base/error.h"
#include "control/interface.h"
#include "control/server_fixture.h"

namespace erofs_oci {
namespace {

using json = nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using namespace std::chrono_literals;

Method echo() {
  return {"Echo", Method::Right::anyone, Method::Replies::one, [](Call& call) { return call.parameters; }};
}

Method counting() {
  return {"Count", Method::Right::owner, Method::Replies::one, [](Call& call) {
            for (int i = 1; i <= 2; ++i) call.progress({{"done", i}});
            return json{{"sum", 3}};
          }};
}

Method failing() {
  return {"Fail", Method::Right::anyone, Method::Replies::one,
          [](Call&) -> json { throw Error(ErrorKind::busy, "in use by a shell"); }};
}

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

std::string with_nul(std::string text) {
  return text.append(1, '\0');
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

class ServerTest : public ServerFixture {
 protected:
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
};

TEST_F(ServerTest, AnswersCallsOfOneConnectionInTheirOrder) {
  serve({echo()});
  Client one = client();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(one.call("Echo", {{"i", i}}, {}, soon())["i"], i);
}

TEST_F(ServerTest, AnswersByteForByteAsVarlinkSays) {
  serve({echo(), counting(), failing()});
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"({"method":"io.github.erofs-oci.Echo","parameters":{"a":1}})", R"({"parameters":{"a":1}})"},
      {R"({"method":"io.github.erofs-oci.Echo"})", R"({"parameters":{}})"},
      {R"({"method":"io.github.erofs-oci.Echo","parameters":null,"more":false})", R"({"parameters":{}})"},
      {R"({"method":"io.github.erofs-oci.Count","more":true})",
       with_nul(R"({"continues":true,"parameters":{"done":1}})") +
           with_nul(R"({"continues":true,"parameters":{"done":2}})") + R"({"parameters":{"sum":3}})"},
      {R"({"method":"io.github.erofs-oci.Count"})", R"({"parameters":{"sum":3}})"},
      {R"({"method":"io.github.erofs-oci.Fail"})",
       R"({"error":"io.github.erofs-oci.Failed","parameters":{"errno":16,"kind":"busy","message":"in use by a shell"}})"},
      {R"({"method":"io.github.erofs-oci.No"})",
       R"({"error":"org.varlink.service.MethodNotFound","parameters":{"method":"io.github.erofs-oci.No"}})"},
      {R"({"method":"org.varlink.service.No"})",
       R"({"error":"org.varlink.service.MethodNotFound","parameters":{"method":"org.varlink.service.No"}})"},
      {R"({"method":"com.example.Echo"})",
       R"({"error":"org.varlink.service.InterfaceNotFound","parameters":{"interface":"com.example"}})"},
      {R"({"method":"org.varlink.service.GetInterfaceDescription"})",
       R"({"error":"org.varlink.service.InvalidParameter","parameters":{"parameter":"interface"}})"},
      {R"({"method":"org.varlink.service.GetInterfaceDescription","parameters":{"interface":"a.b"}})",
       R"({"error":"org.varlink.service.InterfaceNotFound","parameters":{"interface":"a.b"}})"},
  };
  for (const auto& [call, reply] : cases) EXPECT_EQ(exchange(with_nul(call)), with_nul(reply)) << call;
}

TEST_F(ServerTest, AnswersNothingToAOnewayCall) {
  std::promise<void> called;
  serve({echo(), {"Note", Method::Right::anyone, Method::Replies::one, [&](Call&) {
                    called.set_value();
                    return json::object();
                  }}});
  Client one = client();
  one.oneway("Note", json::object(), {}, soon());
  EXPECT_EQ(one.call("Echo", {{"a", 1}}, {}, soon())["a"], 1);
  called.get_future().wait();
}

TEST_F(ServerTest, DescribesItself) {
  serve({});
  const std::string info = exchange(with_nul(R"({"method":"org.varlink.service.GetInfo"})"));
  EXPECT_THAT(info, HasSubstr(R"("interfaces":["org.varlink.service","io.github.erofs-oci"])"));
  EXPECT_THAT(info, HasSubstr(R"("product":"erofs-ocid")"));
  for (const std::string interface : {"io.github.erofs-oci", "org.varlink.service"}) {
    const std::string description = exchange(
        with_nul(R"({"method":"org.varlink.service.GetInterfaceDescription","parameters":{"interface":")" +
                 interface + "\"}}"));
    EXPECT_THAT(description, HasSubstr("\\ninterface " + interface + "\\n"));
  }
}

TEST_F(ServerTest, IsUnderstoodByVarlinkctl) {
  if (std::system("command -v varlinkctl >/dev/null") != 0) GTEST_SKIP() << "needs varlinkctl (systemd 255)";
  serve({echo(), counting(), failing()});
  const auto varlinkctl = [&](const std::string& verb, const std::string& rest) {
    const std::string command =
        fmt::format("varlinkctl --json=short {} '{}' {} 2>&1", verb, path_.native(), rest);
    std::unique_ptr<FILE, int (*)(FILE*)> output(::popen(command.c_str(), "r"), ::pclose);
    std::string text(4096, '\0');
    text.resize(std::fread(text.data(), 1, text.size(), output.get()));
    return text;
  };
  EXPECT_THAT(varlinkctl("info", ""), HasSubstr("erofs-ocid"));
  EXPECT_THAT(varlinkctl("introspect", "io.github.erofs-oci"), HasSubstr("method Open("));
  EXPECT_EQ(varlinkctl("call", "io.github.erofs-oci.Echo '{\"a\":1}'"), "{\"a\":1}\n");
  EXPECT_THAT(varlinkctl("call --more", "io.github.erofs-oci.Count '{}'"), HasSubstr("\"sum\":3"));
  EXPECT_THAT(varlinkctl("call", "io.github.erofs-oci.Fail '{}'"), HasSubstr("io.github.erofs-oci.Failed"));
}

TEST_F(ServerTest, ClosesConnectionsThatBreakTheProtocol) {
  serve({echo()});
  for (const std::string text :
       {R"({})", R"({"method":1})", R"({"method":"io.github.erofs-oci.Echo","parameters":[1]})",
        R"({"method":"io.github.erofs-oci.Echo","more":1})",
        R"({"method":"io.github.erofs-oci.Echo","extra":1})",
        R"({"method":"io.github.erofs-oci.Echo","more":true,"oneway":true})", R"([1])", "garbage", ""}) {
    EXPECT_EQ(exchange(with_nul(text)), "") << text;
  }
  EXPECT_EQ(exchange(std::string(100'000, '\0')), "");
  EXPECT_EQ(exchange(R"({"method":"io.github.erofs-oci.Echo")"), "");
  EXPECT_EQ(client().call("Echo", {{"still", "here"}}, {}, soon())["still"], "here");
}

TEST_F(ServerTest, ClosesAConnectionThatSendsMoreThanTheLimit) {
  serve({echo()});
  const UniqueFd socket = raw();
  const std::string chunk(1 << 20, 'x');
  ssize_t sent = 0;
  for (int i = 0; i < 100 && sent >= 0; ++i)
    sent = ::send(socket.get(), chunk.data(), chunk.size(), MSG_NOSIGNAL);
  EXPECT_LT(sent, 0);
}

TEST_F(ServerTest, AsksForMoreWhereAMethodOnlyStreams) {
  serve({{"Monitor", Method::Right::anyone, Method::Replies::stream, [](Call&) { return json::object(); }}});
  EXPECT_EQ(error_of([&] { client().call("Monitor", json::object(), {}, soon()); }).kind(),
            ErrorKind::invalid);
  EXPECT_EQ(client().call_more("Monitor", json::object(), {}, 20s, [](const json&) {}), json::object());
}

TEST_F(ServerTest, CarriesAnErrorOfAHandlerToTheCaller) {
  serve({failing()});
  const Error error = error_of([&] { client().call("Fail", json::object(), {}, soon()); });
  EXPECT_EQ(error.kind(), ErrorKind::busy);
  EXPECT_EQ(error.errno_value(), EBUSY);
  EXPECT_STREQ(error.what(), "in use by a shell");
}

TEST_F(ServerTest, SurvivesAHandlerThatThrowsAnythingElse) {
  serve({echo(), {"Throw", Method::Right::anyone, Method::Replies::one, [](Call&) -> json {
                    throw std::logic_error("a bug");
                  }}});
  Client one = client();
  const Error error = error_of([&] { one.call("Throw", json::object(), {}, soon()); });
  EXPECT_EQ(error.kind(), ErrorKind::system);
  EXPECT_STREQ(error.what(), "Throw: a bug");
  EXPECT_EQ(one.call("Echo", {{"a", 1}}, {}, soon())["a"], 1);
}

TEST_F(ServerTest, HandsDescriptorsToTheHandlerAndClosesWhatItLeaves) {
  serve({{"Write", Method::Right::owner, Method::Replies::one, [](Call& call) {
            EXPECT_EQ(::write(call.fds.at(1).get(), "x", 1), 1);
            return json{{"fds", call.fds.size()}};
          }}});
  int fds[2];
  ASSERT_EQ(::pipe2(fds, O_CLOEXEC), 0);
  const UniqueFd read_end(fds[0]);
  UniqueFd write_end(fds[1]);
  EXPECT_EQ(
      client().call("Write", json::object(), std::array{read_end.get(), write_end.get()}, soon())["fds"], 2);
  write_end.reset();
  char buffer[8];
  EXPECT_EQ(::read(read_end.get(), buffer, sizeof buffer), 1);
  EXPECT_EQ(::read(read_end.get(), buffer, sizeof buffer), 0) << "the server still holds the write end";
}

TEST_F(ServerTest, RunsHandlersOfDifferentConnectionsAtTheSameTime) {
  std::barrier both(2);
  serve({{"Meet", Method::Right::anyone, Method::Replies::one, [&](Call&) {
            both.arrive_and_wait();
            return json::object();
          }}});
  std::thread other([&] { client().call("Meet", json::object(), {}, soon()); });
  client().call("Meet", json::object(), {}, soon());
  other.join();
}

TEST_F(ServerTest, LetsOthersAskButChangeNothing) {
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

TEST_F(ServerTest, LetsItsOwnerChange) {
  NEEDS_ROOT();
  server_ = std::make_unique<Server>(listen(), std::vector{counting()}, 65534);
  as_nobody([&] { EXPECT_EQ(client().call("Count", json::object(), {}, soon())["sum"], 3); });
}

TEST_F(ServerTest, TakesShortMessagesOnlyFromOthers) {
  NEEDS_ROOT();
  serve({echo()});
  const json long_text = {{"a", std::string(kMaxQuestionBytes, 'x')}};
  EXPECT_EQ(client().call("Echo", long_text, {}, soon()), long_text);
  as_nobody([&] {
    EXPECT_EQ(error_of([&] { client().call("Echo", long_text, {}, soon()); }).kind(), ErrorKind::unavailable);
  });
}

TEST_F(ServerTest, ServesAsManyConnectionsAsItsLimitAndSendsTheNextAway) {
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

TEST_F(ServerTest, KeepsRoomForItsOwner) {
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

TEST_F(ServerTest, ClosesConnectionsThatAreIdleOrSlow) {
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

TEST_F(ServerTest, ServesOthersWhileOneIsSlow) {
  serve({echo()});
  const UniqueFd slow = raw();
  write(slow, "{");
  EXPECT_EQ(client().call("Echo", {{"a", 1}}, {}, soon())["a"], 1);
}

TEST_F(ServerTest, GivesUpOnACallerThatDoesNotRead) {
  std::promise<void> ended;
  ServerLimits limits;
  limits.reply = 50ms;
  serve({endless(ended)}, limits);
  const UniqueFd socket = raw();
  write(socket, with_nul(R"({"method":"io.github.erofs-oci.Stream","more":true})"));
  EXPECT_EQ(ended.get_future().wait_for(20s), std::future_status::ready);
}

TEST_F(ServerTest, TellsTheHandlerThatTheCallerIsGone) {
  std::promise<void> ended;
  serve({endless(ended)});
  {
    const UniqueFd socket = raw();
    write(socket, with_nul(R"({"method":"io.github.erofs-oci.Stream","more":true})"));
  }
  EXPECT_EQ(ended.get_future().wait_for(20s), std::future_status::ready);
}

TEST_F(ServerTest, StopsWithOpenConnectionsAtOnce) {
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

TEST_F(ServerTest, StopTellsHandlersAndLetsThemAnswer) {
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

TEST_F(ServerTest, StopLeavesASocketThatIsHeldElsewhereListening) {
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
