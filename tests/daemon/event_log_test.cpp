// SPDX-License-Identifier: Apache-2.0
#include "daemon/event_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <thread>

namespace erofs_oci {
namespace {

using testing::Contains;
using testing::Pair;

Event event(const std::string& message) {
  return {.kind = EventKind::corrupt, .mount = "tools", .layer = "sha256:ab", .span = 7, .message = message};
}

class EventLogTest : public ::testing::Test {
 protected:
  void SetUp() override {
    set_log_sink([this](LogLevel, std::string_view message, const LogFields& fields) {
      line_ = message;
      for (const auto& [name, value] : fields) fields_[std::string(name)] = value;
    });
  }
  void TearDown() override {
    set_log_sink([](LogLevel, std::string_view, const LogFields&) {});
  }

  std::string line_;
  std::map<std::string, std::string> fields_;
  EventLog log_;
  std::stop_source stop_;
};

TEST_F(EventLogTest, LogsWithIdAndFields) {
  log_.publish(event("damaged"));
  EXPECT_EQ(line_, "tools: damaged");
  EXPECT_THAT(fields_, Contains(Pair("MESSAGE_ID", message_id(EventKind::corrupt))));
  EXPECT_THAT(fields_, Contains(Pair("MOUNT", "tools")));
  EXPECT_THAT(fields_, Contains(Pair("LAYER", "sha256:ab")));
  EXPECT_THAT(fields_, Contains(Pair("SPAN", "7")));
}

TEST_F(EventLogTest, TellsEveryListenerWhatComesAfterIt) {
  log_.publish(event("before"));
  const auto first = log_.listen();
  const auto second = log_.listen();
  log_.publish(event("after"));
  EXPECT_EQ(first->next(stop_.get_token())->message, "after");
  EXPECT_EQ(second->next(stop_.get_token())->message, "after");
}

TEST_F(EventLogTest, ASlowListenerLosesTheOldestAndIsTold) {
  const auto listener = log_.listen();
  for (size_t i = 0; i < EventLog::Listener::kMaxWaiting + 3; ++i) log_.publish(event(std::to_string(i)));
  EXPECT_EQ(listener->take_lost(), 3u);
  EXPECT_EQ(listener->next(stop_.get_token())->message, "3");
  EXPECT_EQ(listener->take_lost(), 0u);
}

TEST_F(EventLogTest, AStopEndsTheWait) {
  const auto listener = log_.listen();
  std::jthread stopper([this] { stop_.request_stop(); });
  EXPECT_FALSE(listener->next(stop_.get_token()));
}

TEST(MessageId, IsAnIdOfItsOwnForEachKind) {
  std::set<std::string_view> ids;
  for (int kind = 0; kind <= static_cast<int>(EventKind::corrupt); ++kind) {
    const auto id = message_id(static_cast<EventKind>(kind));
    EXPECT_EQ(id.size(), 32u);
    EXPECT_EQ(id.find_first_not_of("0123456789abcdef"), std::string_view::npos);
    ids.insert(id);
  }
  EXPECT_EQ(ids.size(), 6u);
}

}  // namespace
}  // namespace erofs_oci
