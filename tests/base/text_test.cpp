// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"

#include <gtest/gtest.h>

#include <array>

namespace erofs_oci {
namespace {

using namespace std::chrono_literals;

TEST(HumanSize, UsesBinaryUnitsWithOneDecimal) {
  EXPECT_EQ(human_size(0), "0 B");
  EXPECT_EQ(human_size(1023), "1023 B");
  EXPECT_EQ(human_size(1536), "1.5 KiB");
  EXPECT_EQ(human_size(1024 * 1024 - 1), "1.0 MiB");
  EXPECT_EQ(human_size(UINT64_MAX), "16.0 EiB");
}

TEST(ParseU64, TakesWholeDecimalNumbersOnly) {
  EXPECT_EQ(parse_u64("18446744073709551615"), UINT64_MAX);
  for (const char* bad : {"", "-1", "+1", "1x", " 1", "18446744073709551616", "0x10"}) {
    EXPECT_FALSE(parse_u64(bad)) << bad;
  }
}

TEST(ParseDuration, KnowsUnitsAndRejectsTheRest) {
  EXPECT_EQ(parse_duration("90s"), 90s);
  EXPECT_EQ(parse_duration("1.5"), 1500ms);
  EXPECT_EQ(parse_duration("500ms"), 500ms);
  EXPECT_EQ(parse_duration("2 h"), 2h);
  for (const char* bad : {"", "s", "-1s", "1 year", "1e9", "99999999999h"}) {
    EXPECT_FALSE(parse_duration(bad)) << bad;
  }
}

TEST(ParseSize, KnowsUnitsAndRejectsTheRest) {
  EXPECT_EQ(parse_size("64MiB"), 64u << 20);
  EXPECT_EQ(parse_size("1.5K"), 1536u);
  EXPECT_EQ(parse_size("10 GB"), 10ull << 30);
  EXPECT_EQ(parse_size("7"), 7u);
  for (const char* bad : {"", "M", "-1", "1iB", "1Q", "99999999T"}) EXPECT_FALSE(parse_size(bad)) << bad;
}

TEST(Nearest, FindsASlipAndNothingElse) {
  constexpr std::array<std::string_view, 3> keys{"mountpoint", "platform", "layer"};
  EXPECT_EQ(nearest("moutpoint", keys), "mountpoint");
  EXPECT_EQ(nearest("layers", keys), "layer");
  EXPECT_FALSE(nearest("zzzzzz", keys));
}

TEST(Printable, EscapesControlCharactersAndCuts) {
  EXPECT_EQ(printable("a\x1b[31m\n"), "a\\x1b[31m\\x0a");
  EXPECT_EQ(printable("abcdef", 3), "abc…");
}

TEST(RandomHex, IsThirtyTwoDigitsAndDiffers) {
  EXPECT_EQ(random_hex_128().size(), 32u);
  EXPECT_NE(random_hex_128(), random_hex_128());
}

}  // namespace
}  // namespace erofs_oci
