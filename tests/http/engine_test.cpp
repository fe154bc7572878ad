// SPDX-License-Identifier: Apache-2.0
#include "http/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>

#include "http/curl_error.h"
#include "http/event.h"
#include "http/loopback_server.h"

namespace erofs_oci::http {
namespace {

using std::chrono::milliseconds;
using test::LoopbackServer;
using test::Reply;
using test::SeenRequest;
using End = Reply::End;

const ConnectionSettings kDirect{.ca_pem = std::nullopt, .insecure = false, .proxy = ""};

Request request_to(const std::string& url) {
  Request request;
  request.url = url;
  request.connection = &kDirect;
  return request;
}

class EngineTest : public testing::Test {
 protected:
  Response perform(const Request& request) { return engine_.run(engine_.perform(request)); }
  Response get(const std::string& url) { return perform(request_to(url)); }
  std::optional<Error> error_of(const Request& request) {
    try {
      perform(request);
      return std::nullopt;
    } catch (const Error& error) {
      return error;
    }
  }

  Engine engine_;
};

/// Keeps what it is given; wants no more than `enough` bytes.
class KeepingSink final : public BodySink {
 public:
  explicit KeepingSink(size_t enough = std::string::npos) : enough_(enough) {}
  void begin(const ResponseHead& head) override { status = head.status; }
  bool write(Bytes piece) override {
    body += as_text(piece);
    return body.size() < enough_;
  }
  int status = 0;
  std::string body;

 private:
  const size_t enough_;
};

TEST_F(EngineTest, GivesStatusHeadersAndBody) {
  LoopbackServer server(
      [](const SeenRequest&) { return Reply::text(404, "no such thing").with("X-Colour", "blue"); });
  const Response response = get(server.url("/a?b"));
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(response.headers.find("x-colour"), "blue");
  EXPECT_EQ(response.body, "no such thing");
  EXPECT_EQ(server.seen().at(0).target, "/a?b");
}

TEST_F(EngineTest, SendsHeadersRangeAndAuthorization) {
  LoopbackServer server([](const SeenRequest&) { return Reply::text(200, ""); });
  Request request = request_to(server.url("/"));
  request.headers = {{"Accept", "text/x"}};
  request.range = ByteRange{100, 50};
  request.authorization = Secret("Basic abc");
  perform(request);
  const SeenRequest seen = server.seen().at(0);
  EXPECT_EQ(seen.method, "GET");
  EXPECT_EQ(seen.header("Accept"), "text/x");
  EXPECT_EQ(seen.header("Range"), "bytes=100-149");
  EXPECT_EQ(seen.header("Authorization"), "Basic abc");
  EXPECT_EQ(seen.header("Accept-Encoding"), "identity");
  EXPECT_THAT(seen.header("User-Agent"), testing::StartsWith("erofs-oci/"));
}

TEST_F(EngineTest, PostsAForm) {
  LoopbackServer server([](const SeenRequest&) { return Reply::text(200, "ok"); });
  Request request = request_to(server.url("/token"));
  request.method = Method::post;
  request.form = Secret("a=1&b=2");
  EXPECT_EQ(perform(request).body, "ok");
  const SeenRequest seen = server.seen().at(0);
  EXPECT_EQ(seen.method, "POST");
  EXPECT_EQ(seen.body, "a=1&b=2");
  EXPECT_EQ(seen.header("Content-Type"), "application/x-www-form-urlencoded");
}

TEST_F(EngineTest, DoesNotFollowARedirect) {
  LoopbackServer server([](const SeenRequest&) { return Reply::redirect(307, "/elsewhere"); });
  EXPECT_EQ(get(server.url("/")).status, 307);
  EXPECT_EQ(server.seen().size(), 1u);
}

TEST_F(EngineTest, ABodyBeyondItsLimitIsCorrupt) {
  LoopbackServer server([](const SeenRequest&) { return Reply::text(200, std::string(1001, 'x')); });
  Request request = request_to(server.url("/"));
  request.body_limit = 1001;
  EXPECT_EQ(perform(request).body.size(), 1001u);
  request.body_limit = 1000;
  EXPECT_EQ(error_of(request)->kind(), ErrorKind::corrupt);
}

TEST_F(EngineTest, AnErrorsBodyIsCutAtItsLimit) {
  LoopbackServer server([](const SeenRequest&) { return Reply::text(500, std::string(1'000'000, 'x')); });
  EXPECT_EQ(get(server.url("/")).body.size(), kErrorBodyLimit);
}

TEST_F(EngineTest, ASinkGetsTheBody) {
  const std::string body(300'000, 'b');
  LoopbackServer server([&](const SeenRequest&) { return Reply::text(206, body); });
  KeepingSink sink;
  Request request = request_to(server.url("/"));
  request.sink = &sink;
  EXPECT_EQ(perform(request).body, "");
  EXPECT_EQ(sink.status, 206);
  EXPECT_EQ(sink.body, body);
}

TEST_F(EngineTest, ASinkMayEndTheTransfer) {
  LoopbackServer server([&](const SeenRequest&) { return Reply::text(200, std::string(5'000'000, 'b')); });
  KeepingSink sink(1000);
  Request request = request_to(server.url("/"));
  request.sink = &sink;
  EXPECT_EQ(perform(request).status, 200);
  EXPECT_LT(sink.body.size(), 1'000'000u);
}

TEST_F(EngineTest, ASinkIsNotGivenAnErrorsBody) {
  LoopbackServer server([](const SeenRequest&) { return Reply::text(503, "busy"); });
  KeepingSink sink;
  Request request = request_to(server.url("/"));
  request.sink = &sink;
  EXPECT_EQ(perform(request).body, "busy");
  EXPECT_EQ(sink.status, 0);
}

TEST_F(EngineTest, AnExceptionOfASinkComesOut) {
  struct ThrowingSink final : BodySink {
    void begin(const ResponseHead&) override { throw Error(ErrorKind::corrupt, "not what was asked for"); }
    bool write(Bytes) override { return true; }
  } sink;
  LoopbackServer server([](const SeenRequest&) { return Reply::text(200, "body"); });
  Request request = request_to(server.url("/"));
  request.sink = &sink;
  EXPECT_STREQ(error_of(request)->what(), "not what was asked for");
}

TEST_F(EngineTest, ABrokenBodyIsUnavailable) {
  for (const End end : {End::close, End::reset}) {
    LoopbackServer server([&](const SeenRequest&) { return Reply::text(200, "0123456789").cut(4, end); });
    KeepingSink sink;
    Request request = request_to(server.url("/"));
    request.sink = &sink;
    EXPECT_EQ(error_of(request)->kind(), ErrorKind::unavailable);
  }
}

TEST_F(EngineTest, AStalledBodyIsGivenUp) {
  LoopbackServer server([](const SeenRequest&) { return Reply::text(200, "0123456789").cut(4, End::stall); });
  Request request = request_to(server.url("/"));
  request.limits.stall = milliseconds(100);
  const auto error = error_of(request);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->kind(), ErrorKind::unavailable);
  EXPECT_EQ(error->errno_value(), ETIMEDOUT);
}

TEST_F(EngineTest, AStallAfterABurstIsSeenInTime) {
  LoopbackServer server([](const SeenRequest&) {
    return Reply::text(200, std::string(2'000'000, 'x')).cut(1'000'000, End::stall);
  });
  KeepingSink sink;
  Request request = request_to(server.url("/"));
  request.sink = &sink;
  request.limits.stall = milliseconds(200);
  const auto before = std::chrono::steady_clock::now();
  EXPECT_EQ(error_of(request)->errno_value(), ETIMEDOUT);
  EXPECT_LT(std::chrono::steady_clock::now() - before, milliseconds(3000));
  EXPECT_EQ(sink.body.size(), 1'000'000u);
}

TEST_F(EngineTest, ASlowBodyIsNoStall) {
  LoopbackServer server([](const SeenRequest&) {
    Reply reply = Reply::text(200, std::string(20 * 1024, 'x'));
    reply.trickle = milliseconds(20);
    return reply;
  });
  Request request = request_to(server.url("/"));
  request.limits.stall = milliseconds(150);
  EXPECT_EQ(perform(request).body.size(), 20u * 1024);
}

TEST_F(EngineTest, AnAnswerThatDoesNotBeginIsGivenUp) {
  LoopbackServer server([](const SeenRequest&) {
    Reply reply;
    reply.delay = std::chrono::hours(1);
    return reply;
  });
  Request request = request_to(server.url("/"));
  request.limits.stall = milliseconds(100);
  EXPECT_EQ(error_of(request)->errno_value(), ETIMEDOUT);
}

TEST_F(EngineTest, ARefusedConnectionIsUnavailable) {
  std::string url;
  {
    url = LoopbackServer([](const SeenRequest&) { return Reply(); }).url("/path?signature=abc");
  }
  const auto error = error_of(request_to(url));
  ASSERT_TRUE(error);
  EXPECT_EQ(error->kind(), ErrorKind::unavailable);
  EXPECT_EQ(error->errno_value(), ECONNREFUSED);
  EXPECT_EQ(std::string(error->what()).find("signature"), std::string::npos) << error->what();
}

TEST_F(EngineTest, TheSameFailureIsToldInTheSameWords) {
  const Error error =
      curl_error(CURLE_COULDNT_CONNECT, 0, "example.com:443",
                 "Failed to connect to example.com port 443 after 12 ms: Couldn't connect to server");
  EXPECT_STREQ(error.what(),
               "example.com:443: Failed to connect to example.com port 443: Couldn't connect to server");
}

TEST_F(EngineTest, AnUnknownHostIsUnavailable) {
  Request request = request_to("http://no-such-host.invalid/");
  request.limits.connect = std::chrono::seconds(2);
  const auto error = error_of(request);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->kind(), ErrorKind::unavailable);
  EXPECT_THAT(error->what(), testing::HasSubstr("no-such-host.invalid"));
}

TEST_F(EngineTest, HeadersAreBounded) {
  LoopbackServer server([](const SeenRequest&) {
    Reply reply;
    for (int i = 0; i < 100; ++i) reply.headers.emplace_back("X-Long", std::string(1000, 'x'));
    return reply;
  });
  EXPECT_EQ(error_of(request_to(server.url("/")))->kind(), ErrorKind::corrupt);
}

TEST_F(EngineTest, ALineBreakInAHeaderIsRefused) {
  LoopbackServer server([](const SeenRequest&) { return Reply(); });
  Request request = request_to(server.url("/"));
  request.authorization = Secret("Bearer x\r\nX-Injected: 1");
  EXPECT_EQ(error_of(request)->kind(), ErrorKind::invalid);
  EXPECT_TRUE(server.seen().empty());
}

TEST_F(EngineTest, KeepsItsConnections) {
  LoopbackServer server([](const SeenRequest&) { return Reply::text(200, "x"); });
  for (int i = 0; i < 5; ++i) get(server.url("/"));
  EXPECT_EQ(server.connection_count(), 1u);
}

TEST_F(EngineTest, UnequalTrustDoesNotShareAConnection) {
  LoopbackServer proxy([](const SeenRequest&) { return Reply::text(200, "by proxy"); });
  LoopbackServer server([](const SeenRequest&) { return Reply::text(200, "direct"); });
  const ConnectionSettings through{.ca_pem = std::nullopt, .insecure = false, .proxy = proxy.url("")};
  EXPECT_EQ(get(server.url("/")).body, "direct");
  Request request = request_to("http://registry.example.com/x");
  request.connection = &through;
  EXPECT_EQ(perform(request).body, "by proxy");
  EXPECT_EQ(proxy.seen().at(0).target, "http://registry.example.com/x");
}

TEST(Engine, BoundsTransfersPerHost) {
  LoopbackServer server([](const SeenRequest&) {
    Reply reply;
    reply.delay = milliseconds(20);
    return reply;
  });
  Engine engine({.transfers_per_host = 3, .transfers_total = 64});
  const Request request = request_to(server.url("/"));
  std::vector<std::future<Response>> answers;
  for (int i = 0; i < 12; ++i) {
    answers.push_back(std::async(std::launch::async, [&] { return engine.run(engine.perform(request)); }));
  }
  for (auto& answer : answers) EXPECT_EQ(answer.get().status, 200);
  EXPECT_LE(server.connection_count(), 3u);
}

TEST(Engine, AWaitingForegroundRequestGoesFirst) {
  LoopbackServer server([](const SeenRequest&) {
    Reply reply;
    reply.delay = milliseconds(100);
    return reply;
  });
  Engine engine({.transfers_per_host = 1, .transfers_total = 64});
  std::vector<Request> requests;
  for (const Priority priority :
       {Priority::foreground, Priority::prefetch, Priority::read_ahead, Priority::foreground}) {
    requests.push_back(request_to(server.url("/" + std::to_string(requests.size()))));
    requests.back().priority = priority;
  }
  std::vector<std::future<void>> done;
  const auto fetch = [&](const Request& request, std::promise<void>& promise) -> Task<void> {
    co_await engine.perform(request);
    promise.set_value();
  };
  std::array<std::promise<void>, 4> promises;
  for (size_t i = 0; i < requests.size(); ++i) engine.spawn(fetch(requests[i], promises[i]));
  for (auto& promise : promises) promise.get_future().wait();
  std::string order;
  for (const SeenRequest& seen : server.seen()) order += seen.target;
  EXPECT_EQ(order, "/0/3/2/1");
}

TEST_F(EngineTest, SleepsInTheOrderOfTheirEnds) {
  std::vector<int> order;
  const auto sleeper = [&](int number, milliseconds duration, std::promise<void>& done) -> Task<void> {
    co_await engine_.sleep_for(duration);
    order.push_back(number);
    done.set_value();
  };
  std::promise<void> first, second;
  engine_.spawn(sleeper(2, milliseconds(60), second));
  engine_.spawn(sleeper(1, milliseconds(20), first));
  second.get_future().wait();
  EXPECT_THAT(order, testing::ElementsAre(1, 2));
}

TEST_F(EngineTest, ManyThreadsMaySpawn) {
  std::atomic<int> count{0};
  const auto add = [&]() -> Task<void> {
    co_await engine_.sleep_for(milliseconds(1));
    ++count;
  };
  std::vector<std::future<void>> threads;
  for (int t = 0; t < 8; ++t) {
    threads.push_back(std::async(std::launch::async, [&] {
      for (int i = 0; i < 50; ++i) engine_.run(add());
    }));
  }
  for (auto& thread : threads) thread.get();
  EXPECT_EQ(count, 400);
}

}  // namespace
}  // namespace erofs_oci::http
