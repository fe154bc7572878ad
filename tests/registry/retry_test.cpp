// SPDX-License-Identifier: Apache-2.0
#include "registry/retry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

namespace erofs_oci::registry {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const Failure kBusy{Error(ErrorKind::unavailable, "registry answered 503"), std::nullopt};

TEST(Backoff, DoublesUpToItsCeilingWithJitter) {
  RetrySettings settings;
  settings.first_delay = milliseconds(200);
  settings.longest_delay = milliseconds(1000);
  struct Case {
    unsigned failures;
    double jitter;
    int expected_ms;
  };
  for (const Case& c : {Case{1, 0, 100}, Case{1, 1, 200}, Case{2, 1, 400}, Case{2, 0.5, 300}, Case{3, 1, 800},
                        Case{4, 1, 1000}, Case{4, 0, 500}, Case{1000000, 1, 1000}}) {
    EXPECT_EQ(backoff_delay(settings, c.failures, c.jitter, std::nullopt).count(), c.expected_ms)
        << c.failures << " " << c.jitter;
  }
}

TEST(Backoff, WaitsAtLeastAsLongAsTheServerAsks) {
  RetrySettings settings;
  settings.first_delay = milliseconds(200);
  settings.longest_retry_after = seconds(30);
  EXPECT_EQ(backoff_delay(settings, 1, 1, seconds(5)), seconds(5));
  EXPECT_EQ(backoff_delay(settings, 1, 1, seconds(0)), milliseconds(200));
  EXPECT_EQ(backoff_delay(settings, 1, 1, seconds(86400)), seconds(30));
}

TEST(Retry, GivesUpAfterItsDeadlineAndCountsTheTries) {
  RetrySettings settings;
  settings.deadline = milliseconds(30);
  settings.first_delay = milliseconds(1);
  Retry retry(settings);
  EXPECT_LE(retry.delay_after(kBusy), milliseconds(1));
  std::this_thread::sleep_for(milliseconds(40));
  try {
    retry.delay_after(kBusy);
    FAIL() << "went on";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "registry answered 503 after 2 tries");
    EXPECT_EQ(error.kind(), ErrorKind::unavailable);
  }
}

TEST(Retry, NeverWaitsBeyondItsDeadline) {
  RetrySettings settings;
  settings.deadline = milliseconds(500);
  settings.first_delay = settings.longest_delay = seconds(100);
  Retry retry(settings);
  EXPECT_LE(retry.delay_after(kBusy), milliseconds(500));
}

TEST(Retry, ProgressStartsTheDeadlineAnew) {
  RetrySettings settings;
  settings.deadline = milliseconds(30);
  Retry retry(settings);
  std::this_thread::sleep_for(milliseconds(40));
  retry.progressed();
  EXPECT_NO_THROW(retry.delay_after(kBusy));
}

TEST(Retry, GoesOnForEverWithoutADeadline) {
  RetrySettings settings;
  settings.deadline = std::nullopt;
  Retry retry(settings);
  for (int i = 0; i < 10000; ++i) EXPECT_LE(retry.delay_after(kBusy), settings.longest_delay);
}

TEST(Retry, DoesNotRepeatWhatCannotHelp) {
  const RetrySettings settings;
  for (const ErrorKind kind : {ErrorKind::denied, ErrorKind::not_found, ErrorKind::corrupt,
                               ErrorKind::unsupported, ErrorKind::invalid}) {
    Retry retry(settings);
    EXPECT_THROW(retry.delay_after({Error(kind, "no"), std::nullopt}), Error);
  }
  Retry retry(settings);
  EXPECT_THROW(retry.delay_after({Error(ErrorKind::unavailable, ECANCELED, "shutting down"), std::nullopt}),
               Error);
}

TEST(Retry, CutsATrysLimitsAtTheDeadline) {
  RetrySettings settings;
  settings.deadline = seconds(5);
  const http::TimeLimits cut = Retry(settings).within_deadline({seconds(10), seconds(20)});
  EXPECT_LE(cut.connect, seconds(5));
  EXPECT_LE(cut.stall, seconds(5));
  settings.deadline = milliseconds(0);
  EXPECT_EQ(Retry(settings).within_deadline({seconds(10), seconds(20)}).stall, seconds(1));
  settings.deadline = std::nullopt;
  EXPECT_EQ(Retry(settings).within_deadline({seconds(10), seconds(20)}).stall, seconds(20));
}

TEST(FailureOf, FollowsFromTheStatus) {
  for (const auto& [status, kind] : std::vector<std::pair<int, ErrorKind>>{{401, ErrorKind::denied},
                                                                           {403, ErrorKind::denied},
                                                                           {404, ErrorKind::not_found},
                                                                           {410, ErrorKind::not_found},
                                                                           {408, ErrorKind::unavailable},
                                                                           {416, ErrorKind::corrupt},
                                                                           {429, ErrorKind::unavailable},
                                                                           {500, ErrorKind::unavailable},
                                                                           {501, ErrorKind::unsupported},
                                                                           {503, ErrorKind::unavailable},
                                                                           {522, ErrorKind::unavailable},
                                                                           {418, ErrorKind::unsupported},
                                                                           {400, ErrorKind::unsupported},
                                                                           {304, ErrorKind::unsupported}}) {
    http::Response response;
    response.status = status;
    response.url = "https://example.com/x?signature=abc";
    const Failure failure = failure_of(response);
    EXPECT_EQ(failure.error.kind(), kind) << status;
    EXPECT_EQ(failure.error.what(), fmt::format("example.com:443 answered {}", status));
  }
}

TEST(FailureOf, TellsWhatTheRegistrySays) {
  http::Response response;
  response.status = 429;
  response.url = "https://example.com/";
  response.headers.add("Retry-After", "7");
  response.body = R"({"errors":[{"code":"TOOMANYREQUESTS","message":"slow \u001bdown"}]})";
  EXPECT_STREQ(failure_of(response).error.what(), "example.com:443 answered 429: slow \\x1bdown");
  EXPECT_EQ(failure_of(response).retry_after, seconds(7));
  for (const char* body :
       {"<html>", "[]", R"({"errors":[]})", R"({"errors":[7]})", R"({"errors":[{"message":7}]})"}) {
    response.body = body;
    EXPECT_STREQ(failure_of(response).error.what(), "example.com:443 answered 429");
  }
}

}  // namespace
}  // namespace erofs_oci::registry
