// SPDX-License-Identifier: Apache-2.0
#include "control/server.h"

#include <fcntl.h>
#include <gmock/gmock.h>

#include <array>
#include <barrier>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <future>
#include <thread>

#include "base/error.h"
#include "base/log.h"
#include "base/mutex.h"
#include "control/server_fixture.h"

namespace erofs_oci {
namespace {

using json = nlohmann::json;
using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

using ServerTest = ServerFixture;

Method failing() {
  return {"Fail", Method::Right::anyone, Method::Replies::one,
          [](Call&) -> json { throw Error(ErrorKind::busy, "in use by a shell"); }};
}

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
    // A call that follows finds nobody.
    EXPECT_EQ(exchange(with_nul(text) + with_nul(R"({"method":"io.github.erofs-oci.Echo"})")), "") << text;
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

/// Gathers what is logged, of any level, while it lives.
class LogOfTest {
 public:
  LogOfTest() {
    set_log_level(LogLevel::debug);
    set_log_sink([this](LogLevel level, std::string_view message, const LogFields& fields) {
      const MutexLock lock(mutex_);
      lines_.push_back(fmt::format("{} {}", static_cast<int>(level), message));
      for (const auto& [key, value] : fields) lines_.back() += fmt::format(" {}={}", key, value);
    });
  }
  ~LogOfTest() {
    set_log_sink([](LogLevel, std::string_view, const LogFields&) {});
    set_log_level(LogLevel::info);
  }
  std::vector<std::string> lines() {
    const MutexLock lock(mutex_);
    return lines_;
  }

 private:
  Mutex mutex_;
  std::vector<std::string> lines_ GUARDED_BY(mutex_);
};

TEST_F(ServerTest, LogsARefusalOnceWithItsMount) {
  LogOfTest log;
  serve({{"Open", Method::Right::owner, Method::Replies::one, [](Call& call) -> json {
            call.subject = "tools";
            throw Error(ErrorKind::busy, "in use by a shell");
          }}});
  error_of([&] { client().call("Open", json::object(), {}, soon()); });
  server_.reset();
  const std::string line =
      fmt::format("3 tools: Open for uid {}: in use by a shell MOUNT=tools", ::geteuid());
  EXPECT_THAT(log.lines(), ElementsAre(line));
}

TEST_F(ServerTest, LogsNoQuestionThatFailsAboveDebug) {
  LogOfTest log;
  serve({failing()});
  error_of([&] { client().call("Fail", json::object(), {}, soon()); });
  server_.reset();
  EXPECT_THAT(log.lines(), ElementsAre(fmt::format("7 Fail for uid {}: in use by a shell", ::geteuid())));
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

/// Whether a thread of this process has that name.
bool has_thread(const std::string& name) {
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string comm;
    if (std::getline(std::ifstream(task.path() / "comm"), comm) && comm == name) return true;
  }
  return false;
}

TEST_F(ServerTest, DoesWhatAHandlerLeftForTheEndOfTheConnection) {
  std::promise<void> ended;
  serve({echo(), {"Own", Method::Right::owner, Method::Replies::one, [&](Call& call) {
                    call.at_end([&] { ended.set_value(); });
                    return json::object();
                  }}});
  auto end = ended.get_future();
  {
    Client one = client();
    one.call("Own", json::object(), {}, soon());
    one.call("Echo", json::object(), {}, soon());
    EXPECT_EQ(end.wait_for(0s), std::future_status::timeout);
  }
  EXPECT_EQ(end.wait_for(20s), std::future_status::ready);
}

TEST_F(ServerTest, TellsAHandlerThatWaitsLongWhenItsCallerLeaves) {
  std::promise<void> began;
  std::promise<bool> told;
  serve({{"Wait", Method::Right::owner, Method::Replies::one,
          [&](Call& call) {
            began.set_value();
            for (int i = 0; i < 2000 && !call.left.stop_requested(); ++i) std::this_thread::sleep_for(10ms);
            told.set_value(call.left.stop_requested() && !call.stop.stop_requested());
            return json::object();
          },
          true}});
  std::jthread caller([&] {
    Client one = client();
    EXPECT_THROW(one.call("Wait", json::object(), {}, deadline_in(1s)), Error);
  });
  began.get_future().wait();
  EXPECT_TRUE(told.get_future().get());
}

TEST_F(ServerTest, NamesItsThreads) {
  serve({{"Look", Method::Right::anyone, Method::Replies::one, [](Call&) {
            return json{{"acceptor", has_thread("acceptor")}, {"control", has_thread("control")}};
          }}});
  const json names = client().call("Look", json::object(), {}, soon());
  EXPECT_TRUE(names["acceptor"]);
  EXPECT_TRUE(names["control"]);
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

}  // namespace
}  // namespace erofs_oci
