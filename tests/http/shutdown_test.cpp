// SPDX-License-Identifier: Apache-2.0
// How awaits end that nothing completes: by the engine's end, or with their group.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>

#include "http/flight.h"
#include "http/loopback_server.h"

namespace erofs_oci::http {
namespace {

using std::chrono::milliseconds;
using test::LoopbackServer;
using test::Reply;
using test::SeenRequest;

const ConnectionSettings kDirect{.ca_pem = std::nullopt, .insecure = false, .proxy = ""};

class AbortTest : public testing::Test {
 protected:
  // Runs `task` and notes how it ended; each name ends once.
  Task<void> noting(std::string name, Task<void> task) {
    std::string end = "ended well";
    try {
      co_await std::move(task);
    } catch (const Error& error) {
      end = fmt::format("{} {}", to_string(error.kind()), error.errno_value());
    }
    ++ends_[name + ": " + end];
  }
  Task<void> perform(const Request& request) { co_await engine_->perform(request); }
  // Returns when everything spawned before has run as far as it can without waiting.
  void settle() {
    const auto nothing = []() -> Task<void> { co_return; };
    engine_->run(nothing());
  }
  Request stalled_request() {
    Request request;
    request.url = server_.url("/");
    request.connection = &kDirect;
    return request;
  }

  LoopbackServer server_{
      [](const SeenRequest&) { return Reply::text(200, "0123").cut(2, Reply::End::stall); }};
  std::map<std::string, int> ends_;
  std::unique_ptr<Engine> engine_ = std::make_unique<Engine>(EngineSettings{.transfers_per_host = 1});
};

const std::string kCancelled = fmt::format("unavailable {}", ECANCELED);

TEST_F(AbortTest, TheEnginesEndFailsEveryAwaitOnce) {
  const Request request = stalled_request();
  Event never(*engine_);
  engine_->spawn(noting("under way", perform(request)));
  engine_->spawn(noting("queued", perform(request)));
  engine_->spawn(noting("asleep", engine_->sleep_for(std::chrono::hours(1))));
  engine_->spawn(noting("waiting", never.wait()));
  while (server_.seen().empty()) std::this_thread::sleep_for(milliseconds(1));
  settle();  // the tasks find the engine by the fixture
  engine_.reset();
  EXPECT_THAT(ends_, testing::UnorderedElementsAre(testing::Pair("under way: " + kCancelled, 1),
                                                   testing::Pair("queued: " + kCancelled, 1),
                                                   testing::Pair("asleep: " + kCancelled, 1),
                                                   testing::Pair("waiting: " + kCancelled, 1)));
}

TEST_F(AbortTest, ATaskThatIsSpawnedByAnEndingOneEndsToo) {
  Engine* engine = engine_.get();
  const auto first = [this, engine]() -> Task<void> {
    Task<void> sleep = noting("first", engine->sleep_for(std::chrono::hours(1)));
    co_await std::move(sleep);
    engine->spawn(noting("second", engine->sleep_for(std::chrono::hours(1))));
  };
  engine->spawn(first());
  settle();
  (void)engine_.release();
  delete engine;
  EXPECT_EQ(ends_["second: " + kCancelled], 1);
}

TEST_F(AbortTest, RunThrowsWhenTheEngineEnds) {
  Engine* engine = engine_.release();
  std::thread ending([engine] {
    std::this_thread::sleep_for(milliseconds(50));
    delete engine;
  });
  EXPECT_THROW(engine->run(engine->sleep_for(std::chrono::hours(1))), Error);
  ending.join();
}

TEST_F(AbortTest, AbortFailsTheAwaitsOfItsGroupOnly) {
  AbortGroup group;
  Request request = stalled_request();
  request.group = &group;
  Event never(*engine_);
  engine_->spawn(noting("under way", perform(request)));
  engine_->spawn(noting("queued", perform(request)));
  engine_->spawn(noting("asleep", engine_->sleep_for(std::chrono::hours(1), &group)));
  engine_->spawn(noting("waiting", never.wait(&group)));
  engine_->spawn(noting("other", engine_->sleep_for(milliseconds(100))));
  while (server_.seen().empty()) std::this_thread::sleep_for(milliseconds(1));
  const auto abort = [&]() -> Task<void> {
    const Error reason(ErrorKind::busy, "unmounting");
    engine_->abort(group, reason);
    co_return;
  };
  engine_->run(abort());
  settle();
  EXPECT_EQ(ends_["under way: busy 16"], 1);
  EXPECT_EQ(ends_["queued: busy 16"], 1);
  EXPECT_EQ(ends_["asleep: busy 16"], 1);
  EXPECT_EQ(ends_["waiting: busy 16"], 1);
  EXPECT_EQ(ends_.size(), 4u);
  engine_->run(engine_->sleep_for(milliseconds(150)));
  EXPECT_EQ(ends_["other: ended well"], 1);
}

TEST_F(AbortTest, AnAbortedGroupFailsUntilItIsReadmitted) {
  AbortGroup group;
  const auto run = [&]() -> Task<void> {
    const Error reason(ErrorKind::busy, "unmounting");
    engine_->abort(group, reason);
    Task<void> refused = noting("aborted", engine_->sleep_for(milliseconds(1), &group));
    co_await std::move(refused);
    engine_->readmit(group);
    Task<void> admitted = noting("readmitted", engine_->sleep_for(milliseconds(1), &group));
    co_await std::move(admitted);
  };
  engine_->run(run());
  EXPECT_EQ(ends_["aborted: busy 16"], 1);
  EXPECT_EQ(ends_["readmitted: ended well"], 1);
}

TEST_F(AbortTest, AnAbortedTransferGivesItsSlotBack) {
  AbortGroup group;
  Request stuck = stalled_request();
  stuck.group = &group;
  LoopbackServer good([](const SeenRequest&) { return Reply::text(200, "x"); });
  engine_->spawn(noting("stuck", perform(stuck)));
  engine_->spawn(noting("next", perform(stuck)));
  while (server_.seen().empty()) std::this_thread::sleep_for(milliseconds(1));
  const auto abort = [&]() -> Task<void> {
    engine_->abort(group, Error(ErrorKind::busy, "unmounting"));
    engine_->readmit(group);
    co_return;
  };
  engine_->run(abort());
  Request again = stalled_request();
  again.limits.stall = milliseconds(50);
  EXPECT_THROW(engine_->run(engine_->perform(again)), Error);
  EXPECT_EQ(server_.seen().size(), 2u);
}

TEST_F(AbortTest, AnEventWakesAllWhoWait) {
  Event event(*engine_);
  engine_->spawn(noting("a", event.wait()));
  engine_->spawn(noting("b", event.wait()));
  const auto set = [&]() -> Task<void> {
    event.set();
    co_await event.wait();
  };
  engine_->run(set());
  settle();
  EXPECT_EQ(ends_["a: ended well"], 1);
  EXPECT_EQ(ends_["b: ended well"], 1);
}

TEST_F(AbortTest, AFlightGivesItsErrorToAllWhoWait) {
  Flight flight(*engine_);
  engine_->spawn(noting("a", flight.wait(nullptr)));
  engine_->spawn(noting("b", flight.wait(nullptr)));
  const auto land = [&]() -> Task<void> {
    flight.land(Error(ErrorKind::denied, "refused"));
    co_return;
  };
  engine_->run(land());
  settle();
  EXPECT_EQ(ends_["a: denied 13"], 1);
  EXPECT_EQ(ends_["b: denied 13"], 1);
}

}  // namespace
}  // namespace erofs_oci::http
