// SPDX-License-Identifier: Apache-2.0
#include "tar/pax_value.h"

#include <gtest/gtest.h>

#include <limits>

namespace erofs_oci {
namespace {

using namespace std::string_literals;

constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();

struct TimeCase {
  std::string text;
  std::optional<TarTime> time;
};

class PaxTime : public testing::TestWithParam<TimeCase> {};

TEST_P(PaxTime, IsRead) {
  EXPECT_EQ(parse_pax_time(GetParam().text), GetParam().time);
}

INSTANTIATE_TEST_SUITE_P(
    Good, PaxTime,
    testing::Values(TimeCase{"0", TarTime{0, 0}}, TimeCase{"12", TarTime{12, 0}},
                    TimeCase{"12.", TarTime{12, 0}}, TimeCase{"1.5", TarTime{1, 500'000'000}},
                    TimeCase{"1.000000001", TarTime{1, 1}}, TimeCase{"1.9999999999", TarTime{1, 999'999'999}},
                    TimeCase{"-1", TarTime{-1, 0}}, TimeCase{"-1.0", TarTime{-1, 0}},
                    TimeCase{"-1.25", TarTime{-2, 750'000'000}}, TimeCase{"-0.5", TarTime{-1, 500'000'000}},
                    TimeCase{"-1.0000000001", TarTime{-2, 999'999'999}},
                    TimeCase{"-1.9999999999", TarTime{-2, 0}},
                    TimeCase{"9223372036854775807.9", TarTime{kMost, 900'000'000}},
                    TimeCase{"-9223372036854775808", TarTime{kLeast, 0}}));

INSTANTIATE_TEST_SUITE_P(Bad, PaxTime,
                         testing::Values(TimeCase{"", {}}, TimeCase{".5", {}}, TimeCase{"-", {}},
                                         TimeCase{"1e9", {}}, TimeCase{" 1", {}}, TimeCase{"1.5s", {}},
                                         TimeCase{"1.-5", {}}, TimeCase{"1.2.3", {}},
                                         TimeCase{"9223372036854775808", {}},
                                         TimeCase{"-9223372036854775808.1", {}}));

TEST(Base64, IsDecodedWithAndWithoutPadding) {
  EXPECT_EQ(decode_base64(""), "");
  EXPECT_EQ(decode_base64("Zg"), "f");
  EXPECT_EQ(decode_base64("Zm8="), "fo");
  EXPECT_EQ(decode_base64("Zm9vYmFy"), "foobar");
  EXPECT_EQ(decode_base64("AP/+"), "\0\xff\xfe"s);
}

TEST(Base64, RejectsOtherText) {
  for (const char* text : {"Z", "Zm9v Zg", "Zm9v\n", "Zg===", "Zm-_"})
    EXPECT_FALSE(decode_base64(text)) << text;
}

TEST(Percent, IsDecoded) {
  EXPECT_EQ(decode_percent("user.a%3D%2fb"), "user.a=/b");
  EXPECT_EQ(decode_percent("100%"), "100%");
  EXPECT_EQ(decode_percent("%4"), "%4");
  EXPECT_EQ(decode_percent("%zz%-1"), "%zz%-1");
}

}  // namespace
}  // namespace erofs_oci
