// SPDX-License-Identifier: Apache-2.0
#include "http/headers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace erofs_oci::http {
namespace {

using std::chrono::seconds;

TEST(Headers, NamesCompareWithoutCase) {
  Headers headers;
  headers.add_line("Content-Length: 12\r\n");
  EXPECT_EQ(headers.find("content-LENGTH"), "12");
  EXPECT_EQ(headers.find_number("content-length"), 12u);
  EXPECT_FALSE(headers.find("content"));
}

TEST(Headers, KeepsAllValuesOfAField) {
  Headers headers;
  headers.add("WWW-Authenticate", "Basic");
  headers.add("Server", "x");
  headers.add("www-authenticate", "Bearer");
  EXPECT_THAT(headers.find_all("WWW-Authenticate"), testing::ElementsAre("Basic", "Bearer"));
}

TEST(Headers, TrimsValuesAndPassesOverWhatIsNoField) {
  Headers headers;
  headers.add_line("A:\t b c \r\n");
  headers.add_line("no colon\r\n");
  headers.add_line("Empty:\r\n");
  EXPECT_EQ(headers.find("A"), "b c");
  EXPECT_EQ(headers.find("Empty"), "");
  EXPECT_FALSE(headers.find("no colon"));
}

TEST(Headers, NumbersAreDecimalOrAbsent) {
  for (const char* text : {"", "-1", "1x", "0x10", "99999999999999999999"}) {
    Headers headers;
    headers.add("N", text);
    EXPECT_FALSE(headers.find_number("N")) << text;
  }
}

TEST(RetryAfter, TakesSecondsAndDates) {
  struct Case {
    const char* value;
    std::optional<seconds> expected;
  };
  const auto now = std::chrono::system_clock::from_time_t(784111777);  // Sun, 06 Nov 1994 08:49:37 GMT
  for (const Case& c :
       {Case{"0", seconds(0)}, Case{"120", seconds(120)}, Case{"Sun, 06 Nov 1994 08:50:07 GMT", seconds(30)},
        Case{"Sun, 06 Nov 1994 08:00:00 GMT", seconds(0)},
        Case{"18446744073709551615", seconds(365 * 24 * 3600)}, Case{"soon", std::nullopt},
        Case{"-5", std::nullopt}}) {
    Headers headers;
    headers.add("Retry-After", c.value);
    EXPECT_EQ(retry_after(headers, now), c.expected) << c.value;
  }
  EXPECT_FALSE(retry_after(Headers(), now));
}

}  // namespace
}  // namespace erofs_oci::http
