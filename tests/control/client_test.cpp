// SPDX-License-Identifier: Apache-2.0
#include "control/client.h"

#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <functional>
#include <thread>

#include "base/error.h"
#include "control/files_wanted.h"
#include "control/server_fixture.h"

namespace erofs_oci {
namespace {

using json = nlohmann::json;
using testing::HasSubstr;
using namespace std::chrono_literals;

/// What Client::call ends with where the daemon answers `bytes`: the reply, or the kind and sentence of the
/// Error.
std::string outcome(const std::string& bytes, const std::function<json(Client&)>& call) {
  int fds[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  Client client{UniqueFd(fds[0])};
  UniqueFd daemon(fds[1]);
  EXPECT_EQ(::send(daemon.get(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  ::shutdown(daemon.get(), SHUT_WR);
  try {
    return call(client).dump();
  } catch (const Error& error) {
    return fmt::format("{} {}: {}", to_string(error.kind()), error.errno_value(), error.what());
  }
}

std::string outcome(const std::string& text) {
  return outcome(text + '\0',
                 [](Client& client) { return client.call("Status", json::object(), {}, soon()); });
}

TEST(Client, UnderstandsEveryAnswer) {
  const std::string service = R"({"error":"org.varlink.service.)";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"({"parameters":{"a":1}})", R"({"a":1})"},
      {R"({})", R"({})"},
      {R"({"parameters":null,"continues":false})", R"({})"},
      {R"({"parameters":[]})", "corrupt 5: the daemon's reply has no object of parameters"},
      {R"({"parameters":{},"continues":true})",
       "corrupt 5: the daemon answered one call with several replies"},
      {R"([])", "corrupt 5: the control connection brought a message that is not a JSON object"},
      {R"({"error":"io.github.erofs-oci.Failed","parameters":{"kind":"no_space","errno":28,"message":"disk full"}})",
       "no_space 28: disk full"},
      {R"({"error":"io.github.erofs-oci.Failed","parameters":{"kind":"new","errno":-1}})",
       "system 5: the daemon failed without a reason"},
      {R"({"error":"io.github.erofs-oci.Failed"})", "system 5: the daemon failed without a reason"},
      {service + R"(InterfaceNotFound","parameters":{"interface":"a.b"}})",
       "unsupported 95: the daemon does not know the interface 'a.b': is it of another version?"},
      {service + R"(MethodNotFound","parameters":{"method":"a.b.C"}})",
       "unsupported 95: the daemon does not know the method 'a.b.C': is it of another version?"},
      {service + R"(MethodNotImplemented","parameters":{"method":"a.b.C"}})",
       "unsupported 95: the daemon does not implement the method 'a.b.C'"},
      {service + R"(InvalidParameter","parameters":{"parameter":"x"}})",
       "invalid 22: the daemon does not accept the parameter 'x'"},
      {service + R"(PermissionDenied"})", "denied 13: the daemon takes this from root only"},
      {service + R"(ExpectedMore","parameters":{}})",
       "invalid 22: the daemon answers this call with a stream of replies only"},
      {R"({"error":"com.example.Odd"})",
       "system 5: the daemon answered with the unknown error 'com.example.Odd'"},
      {R"({"error":7})", "system 5: the daemon answered with the unknown error ''"},
  };
  for (const auto& [reply, expected] : cases) EXPECT_EQ(outcome(reply), expected) << reply;
}

std::string wanted_of(const std::string& names) {
  const std::string reply =
      R"({"error":"io.github.erofs-oci.FilesWanted","parameters":{"names":)" + names + "}}";
  try {
    return outcome(reply);
  } catch (const FilesWanted& wanted) {
    return fmt::format("{}", fmt::join(wanted.names, " "));
  }
}

TEST(Client, HandsOnWhichFilesAreWanted) {
  const std::string blob = "blobs/sha256/" + std::string(64, 'a');
  EXPECT_EQ(wanted_of(R"(["index.json",")" + blob + R"("])"), "index.json " + blob);
}

TEST(Client, RefusesFilesThatNoLayoutHas) {
  for (const char* names :
       {R"(["/etc/shadow"])", R"(["blobs/sha256/../../etc/shadow"])", R"(["blobs/sha256/"])",
        R"(["index.json/"])", R"([7])", R"(["index.json", "oci-layout"])"}) {
    EXPECT_THAT(wanted_of(names), HasSubstr("which is no file of an image layout")) << names;
  }
  for (const char* names : {"[]", "7", "{}"})
    EXPECT_THAT(wanted_of(names), HasSubstr("without naming any")) << names;
}

TEST(Client, KeepsTerminalControlOutOfMessages) {
  const std::string reply =
      R"({"error":"io.github.erofs-oci.Failed","parameters":{"kind":"busy","errno":16,"message":"\u001b[2Jx"}})";
  EXPECT_EQ(outcome(reply), "busy 16: \\x1b[2Jx");
}

TEST(Client, ReportsADaemonThatClosesInsteadOfAnswering) {
  const auto call = [](Client& client) { return client.call("Status", json::object(), {}, soon()); };
  EXPECT_EQ(outcome("", call), "unavailable 104: the daemon closed the control connection");
}

TEST(Client, SaysWhatTheDaemonSaidBeforeItClosed) {
  int fds[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  Client client{UniqueFd(fds[0])};
  const std::string reply = std::string(R"({"error":"org.varlink.service.PermissionDenied"})") + '\0';
  ASSERT_EQ(::send(fds[1], reply.data(), reply.size(), 0), static_cast<ssize_t>(reply.size()));
  UniqueFd(fds[1]).reset();
  try {
    client.call("Status", json::object(), {}, soon());
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::denied);
  }
}

TEST(Client, StreamEndsWithAnErrorAfterProgress) {
  int progress = 0;
  const std::string bytes = std::string(R"({"parameters":{"done":1},"continues":true})") + '\0' +
                            R"({"error":"org.varlink.service.PermissionDenied"})" + '\0';
  const std::string end = outcome(bytes, [&](Client& client) {
    return client.call_more("Open", json::object(), {}, 20s, [&](const json&) { ++progress; });
  });
  EXPECT_EQ(progress, 1);
  EXPECT_THAT(end, HasSubstr("denied 13"));
}

class ClientTest : public ServerFixture {
 protected:
  std::string connect_error(Deadline deadline) const {
    try {
      Client(path_, deadline);
    } catch (const Error& error) {
      return fmt::format("{}: {}", to_string(error.kind()), error.what());
    }
    return "";
  }
};

TEST_F(ClientTest, SaysThatNobodyListens) {
  EXPECT_EQ(connect_error(soon()), "unavailable: no daemon listens on " + path_.native());
  listen().reset();
  EXPECT_EQ(connect_error(soon()), "unavailable: no daemon listens on " + path_.native());
}

TEST_F(ClientTest, RefusesAPathThatNoSocketCanHave) {
  path_ = "/tmp/" + std::string(200, 'p');
  EXPECT_THAT(connect_error(soon()), HasSubstr("invalid: /tmp/ppp"));
}

TEST_F(ClientTest, GivesUpConnectingWhereNobodyAccepts) {
  const UniqueFd listener = listen(0);
  std::vector<Client> queue;
  const auto fill = [&] {
    for (int i = 0; i < 10; ++i) queue.emplace_back(path_, deadline_in(50ms));
  };
  EXPECT_THROW(fill(), Error);
  EXPECT_THAT(connect_error(deadline_in(50ms)), HasSubstr("accepts no connection"));
}

TEST_F(ClientTest, GivesUpWaitingForAReplyAtTheDeadline) {
  const UniqueFd listener = listen();
  Client one = client();
  try {
    one.call("Status", json::object(), {}, deadline_in(50ms));
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::unavailable);
    EXPECT_EQ(error.errno_value(), ETIMEDOUT);
  }
}

TEST_F(ClientTest, GivesUpWaitingForAReplyWhenInterrupted) {
  const UniqueFd listener = listen();
  const UniqueFd interrupt(::eventfd(0, EFD_CLOEXEC));
  Client one = client();
  one.set_interrupt(interrupt.get());
  std::thread soon_after([&] {
    std::this_thread::sleep_for(20ms);
    ASSERT_EQ(::eventfd_write(interrupt.get(), 1), 0);
  });
  const Error error = error_of([&] { one.call("Status", json::object(), {}, soon()); });
  soon_after.join();
  EXPECT_TRUE(is_interruption(error)) << error.what();
}

TEST_F(ClientTest, CallMoreWaitsAsLongAsThereIsProgress) {
  serve({{"Slow", Method::Right::anyone, Method::Replies::stream, [](Call& call) {
            for (int i = 0; i < 6; ++i) {
              std::this_thread::sleep_for(100ms);
              call.progress({{"done", i}});
            }
            return json{{"end", true}};
          }}});
  EXPECT_EQ(client().call_more("Slow", json::object(), {}, 400ms, [](const json&) {})["end"], true);
}

}  // namespace
}  // namespace erofs_oci
