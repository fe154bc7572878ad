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
  EXPECT_EQ(printable("\xc2\x9b\xff\xe2\x80"), "\\xc2\\x9b\\xff\\xe2\\x80");
}

TEST(Printable, LeavesUtf8AsItIs) {
  EXPECT_EQ(printable("ab… é 日本 😀"), "ab… é 日本 😀");
}

TEST(FindInvalidUtf8, AcceptsEveryLengthUpToItsLimits) {
  for (const std::string good :
       {"", "a", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
        "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "a\xc3\xbc\xe2\x82\xac!"}) {
    EXPECT_FALSE(find_invalid_utf8(good)) << printable(good);
  }
}

TEST(FindInvalidUtf8, FindsWhatIsCutOverlongOrOutOfRange) {
  for (const std::string bad :
       {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc3", "\xc3(", "\xe0\x9f\xbf", "\xe2\x82", "\xed\xa0\x80",
        "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff"}) {
    EXPECT_EQ(find_invalid_utf8(bad), 0u) << printable(bad);
    EXPECT_EQ(find_invalid_utf8("\xc3\xbc" + bad + "x"), 2u) << printable(bad);
  }
}

TEST(RandomHex, IsThirtyTwoDigitsAndDiffers) {
  EXPECT_EQ(random_hex_128().size(), 32u);
  EXPECT_NE(random_hex_128(), random_hex_128());
}

}  // namespace
}  // namespace erofs_oci
