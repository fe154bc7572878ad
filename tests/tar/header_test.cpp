// SPDX-License-Identifier: Apache-2.0
#include "tar/header.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "tar/archive.h"

namespace erofs_oci {
namespace {

using namespace std::string_literals;

TEST(TarHeader, ReadsNamePrefixSizeAndType) {
  const auto found = parse_tar_header(as_bytes(header({.size = "00000000017", .prefix = "some/dir"})));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->path, "some/dir/file");
  EXPECT_EQ(found->size, 15u);
  EXPECT_EQ(found->type, '0');
  EXPECT_FALSE(found->path_may_be_cut);
}

TEST(TarHeader, ReadsModeOwnerTimeLinkAndDevice) {
  const auto found = parse_tar_header(as_bytes(header({.mode = "0104755",
                                                       .uid = "1",
                                                       .gid = "2",
                                                       .mtime = "3",
                                                       .link = "target",
                                                       .major = "4",
                                                       .minor = "5"})));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->mode, 0104755);
  EXPECT_EQ(found->uid, 1);
  EXPECT_EQ(found->gid, 2);
  EXPECT_EQ(found->mtime, 3);
  EXPECT_EQ(found->link, "target");
  EXPECT_EQ(found->device_major, 4);
  EXPECT_EQ(found->device_minor, 5);
}

TEST(TarHeader, TakesTheTypeOfOldArchivesForARegularFile) {
  EXPECT_EQ(parse_tar_header(as_bytes(header({.type = '\0'})))->type, '0');
}

TEST(TarHeader, SaysThatAFullNameMayBeCut) {
  EXPECT_TRUE(parse_tar_header(as_bytes(header({.name = std::string(100, 'n')})))->path_may_be_cut);
}

TEST(TarHeader, ReadsNoPrefixOrDeviceFromAV7Header) {
  const auto found = parse_tar_header(
      as_bytes(header({.major = "garbage", .minor = "garbage", .prefix = "garbage", .magic = ""})));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->path, "file");
  EXPECT_EQ(found->device_major, 0);
  EXPECT_EQ(found->device_minor, 0);
}

TEST(TarHeader, TakesGnuTimesForNoPrefix) {
  const Fields fields{.prefix = "14561463312\00014561463312\0"s, .magic = kGnuMagicText};
  EXPECT_EQ(parse_tar_header(as_bytes(header(fields)))->path, "file");
}

TEST(TarHeader, ReadsThePrefixThatOldGoWroteIntoGnuHeaders) {
  const Fields fields{.prefix = "some/long/folder/name", .magic = kGnuMagicText};
  EXPECT_EQ(parse_tar_header(as_bytes(header(fields)))->path, "some/long/folder/name/file");
}

TEST(TarHeader, TakesStarTimesForNoPrefix) {
  std::string block = header({.prefix = "dir"});
  block.replace(345 + 131, 24, "14561463312\00014561463312\0"s);
  block.replace(508, 4, "tar\0"s);
  sign(block);
  EXPECT_EQ(parse_tar_header(as_bytes(block))->path, "dir/file");
  block.replace(345, 131, std::string(131, 'd'));
  sign(block);
  EXPECT_EQ(parse_tar_header(as_bytes(block))->path, std::string(131, 'd') + "/file");
}

TEST(TarHeader, LeavesOutANumberThatCannotBeRead) {
  const auto found = parse_tar_header(as_bytes(header({.uid = "none", .mtime = "12:30"})));
  ASSERT_TRUE(found);
  EXPECT_FALSE(found->uid);
  EXPECT_FALSE(found->mtime);
  EXPECT_EQ(found->gid, 0);
}

TEST(TarHeader, TakesAChecksumOfSignedBytes) {
  std::string block = header({.name = "caf\xe9"});
  int sum = 8 * ' ';
  for (size_t i = 0; i < block.size(); ++i)
    sum += i >= 148 && i < 156 ? 0 : static_cast<signed char>(block[i]);
  block.replace(148, 8, fmt::format("{:07o} ", sum));
  EXPECT_TRUE(parse_tar_header(as_bytes(block)));
}

TEST(TarHeader, RejectsAWrongChecksumOrSize) {
  std::string block = header({});
  block[0] = 'F';
  EXPECT_FALSE(parse_tar_header(as_bytes(block)));
  EXPECT_FALSE(parse_tar_header(as_bytes(std::string(kTarBlock, '\0'))));
  EXPECT_FALSE(parse_tar_header(as_bytes(header({.size = "many"}))));
  EXPECT_FALSE(parse_tar_header(as_bytes(header({.size = base256(-1)}))));
}

struct NumberCase {
  std::string field;
  std::optional<int64_t> value;
};

class TarNumber : public testing::TestWithParam<NumberCase> {};

TEST_P(TarNumber, IsRead) {
  EXPECT_EQ(parse_tar_number(as_bytes(GetParam().field)), GetParam().value);
}

constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();

INSTANTIATE_TEST_SUITE_P(Octal, TarNumber,
                         testing::Values(NumberCase{"0000644\0"s, 0644}, NumberCase{" 644 \0\0"s, 0644},
                                         NumberCase{"\0 644\0"s, 0644}, NumberCase{"0000644"s, 0644},
                                         NumberCase{"644\0junk"s, 0644}, NumberCase{std::string(12, '\0'), 0},
                                         NumberCase{std::string(12, ' '), 0},
                                         NumberCase{"777777777777"s, 0777777777777},
                                         NumberCase{"777777777777777777777"s, kMost},
                                         NumberCase{"1000000000000000000000"s, {}}, NumberCase{"12x"s, {}},
                                         NumberCase{"-1"s, {}}, NumberCase{"8"s, {}}));

INSTANTIATE_TEST_SUITE_P(
    Base256, TarNumber,
    testing::Values(NumberCase{base256(int64_t{1} << 33), int64_t{1} << 33}, NumberCase{base256(-1), -1},
                    NumberCase{base256(-981173106), -981173106}, NumberCase{base256(-5, 8), -5},
                    NumberCase{base256(70000, 8), 70000}, NumberCase{base256(kMost), kMost},
                    NumberCase{base256(kLeast), kLeast}, NumberCase{"\x80\0\0\0\x80\0\0\0\0\0\0\0"s, {}},
                    NumberCase{"\xff\xff\xff\xff\x7f\xff\xff\xff\xff\xff\xff\xff"s, {}},
                    NumberCase{"\x80\0\0\xff\0\0\0\0\0\0\0\0"s, {}}));

}  // namespace
}  // namespace erofs_oci
