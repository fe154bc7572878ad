// SPDX-License-Identifier: Apache-2.0
#include "tar/pax.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tar/archive.h"

namespace erofs_oci {
namespace {

using namespace std::string_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

TEST(Pax, OverridesAllFields) {
  const TarMember found = read_one(pax({{"path", "long/path"},
                                        {"uid", "70000"},
                                        {"gid", "70001"},
                                        {"mtime", "981173106.123456789"},
                                        {"comment", "passed over"}}) +
                                   member({.uid = "unreadable", .mtime = "unreadable"}));
  EXPECT_EQ(found.path, "long/path");
  EXPECT_EQ(found.uid, 70000u);
  EXPECT_EQ(found.gid, 70001u);
  EXPECT_EQ(found.mtime, 981173106);
  EXPECT_EQ(found.mtime_nanoseconds, 123456789u);
}

TEST(Pax, OverridesLinkAndDevice) {
  const Records records{{"linkpath", "target"}, {"SCHILY.devmajor", "259"}, {"SCHILY.devminor", "1048575"}};
  EXPECT_EQ(read_one(pax(records) + member({.type = '2', .link = "cut"})).link, "target");
  const TarMember device = read_one(pax(records) + member({.type = '3'}));
  EXPECT_EQ(device.device_major, 259u);
  EXPECT_EQ(device.device_minor, 1048575u);
}

TEST(Pax, SaysTheSizeOfTheData) {
  const auto members = read_archive(pax({{"size", "600"}}) + header({.size = "0"}) +
                                    padded(std::string(600, 'x')) + member({.name = "next"}));
  ASSERT_EQ(members.size(), 2u);
  EXPECT_EQ(members[0].size, 600u);
  EXPECT_EQ(members[1].path, "next");
}

TEST(Pax, SizeIsIgnoredWhereNoDataFollow) {
  const auto members =
      read_archive(pax({{"size", "600"}}) + header({.type = '5'}) + member({.name = "next"}));
  EXPECT_EQ(members.size(), 2u);
}

TEST(Pax, BelongsToOneMember) {
  const auto members = read_archive(pax({{"uid", "5"}}) + member({}) + member({}));
  EXPECT_EQ(members[0].uid, 5u);
  EXPECT_EQ(members[1].uid, 0u);
}

TEST(Pax, EmptyValueLeavesTheHeaders) {
  const TarMember found =
      read_one(pax({{"path", ""}, {"size", ""}, {"mtime", ""}}) + member({.mtime = "7"}, "x"));
  EXPECT_EQ(found.path, "file");
  EXPECT_EQ(found.size, 1u);
  EXPECT_EQ(found.mtime, 7);
}

TEST(Pax, LaterRecordWins) {
  EXPECT_EQ(read_one(pax({{"path", "first"}, {"path", "second"}}) + member({})).path, "second");
  EXPECT_EQ(read_one(pax({{"path", "first"}, {"path", ""}}) + member({})).path, "file");
}

TEST(Pax, SecondHeaderReplacesTheFirst) {
  const TarMember found = read_one(pax({{"path", "first"}, {"uid", "5"}}) + pax({{"uid", "6"}}) + member({}));
  EXPECT_EQ(found.path, "file");
  EXPECT_EQ(found.uid, 6u);
}

TEST(Pax, HeaderMayBeEmpty) {
  EXPECT_EQ(read_one(header({.type = 'x'}) + member({})).path, "file");
}

TEST(Pax, GlobalAppliesUntilReplaced) {
  const auto members = read_archive(pax({{"uid", "5"}, {"gid", "6"}}, 'g') + member({}) +
                                    pax({{"uid", "7"}}) + member({}) + pax({{"uid", "8"}}, 'g') + member({}));
  ASSERT_EQ(members.size(), 3u);
  EXPECT_THAT((std::vector{members[0].uid, members[1].uid, members[2].uid}), ElementsAre(5, 7, 8));
  EXPECT_EQ(members[2].gid, 6u);
}

TEST(Pax, EmptyValueRemovesAGlobalOne) {
  const std::string global = pax({{"uid", "5"}, {"SCHILY.xattr.user.a", "x"}}, 'g');
  const Records empty{{"uid", ""}, {"SCHILY.xattr.user.a", ""}};
  const auto members =
      read_archive(global + pax(empty) + member({}) + member({}) + pax(empty, 'g') + member({}));
  ASSERT_EQ(members.size(), 3u);
  EXPECT_THAT((std::vector{members[0].uid, members[1].uid, members[2].uid}), ElementsAre(0, 5, 0));
  EXPECT_THAT((std::vector{members[0].xattrs.size(), members[1].xattrs.size(), members[2].xattrs.size()}),
              ElementsAre(0, 1, 0));
}

TEST(Pax, GlobalTextIsBounded) {
  EXPECT_THAT(failure(pax({{"SCHILY.xattr.user.a", std::string(5000, 'x')}}, 'g')),
              HasSubstr("gives all members 5006 bytes of names and attributes, at most 4096"));
  EXPECT_EQ(failure(pax({{"comment", std::string(5000, 'x')}}, 'g')), "none");
}

TEST(Pax, SolarisHeaderIsRead) {
  EXPECT_EQ(read_one(pax({{"path", "p"}}, 'X') + member({})).path, "p");
}

TEST(Pax, XattrsAreSortedAndBinary) {
  const std::string capability("\1\0\0\2\0\n\0\0=", 9);
  const TarMember found = read_one(
      pax({{"SCHILY.xattr.user.b", "two"}, {"SCHILY.xattr.security.capability", capability}}) + member({}));
  EXPECT_THAT(found.xattrs,
              ElementsAre(TarXattr{"security.capability", capability}, TarXattr{"user.b", "two"}));
}

TEST(Pax, XattrMayBeEmpty) {
  EXPECT_THAT(read_one(pax({{"SCHILY.xattr.user.e", ""}}) + member({})).xattrs,
              ElementsAre(TarXattr{"user.e", ""}));
}

TEST(Pax, LibarchiveXattrIsDecoded) {
  const Records records{{"LIBARCHIVE.xattr.user.a%3Db%25", "AAEC/w"}};
  EXPECT_THAT(read_one(pax(records) + member({})).xattrs, ElementsAre(TarXattr{"user.a=b%", "\0\1\2\xff"s}));
}

TEST(Pax, SchilyXattrWinsOverLibarchives) {
  const Records records{{"SCHILY.xattr.user.a", "schily"},
                        {"LIBARCHIVE.xattr.user.a", "bGlicw=="},
                        {"LIBARCHIVE.xattr.user.b", "bGlicw=="}};
  EXPECT_THAT(read_one(pax(records) + member({})).xattrs,
              ElementsAre(TarXattr{"user.a", "schily"}, TarXattr{"user.b", "libs"}));
}

TEST(Pax, AclsAreNoticed) {
  EXPECT_TRUE(read_one(pax({{"SCHILY.acl.access", "user::rw-"}}) + member({})).has_acl);
  EXPECT_FALSE(read_one(pax({{"SCHILY.acl.access", ""}}) + member({})).has_acl);
}

struct BadCase {
  std::string records;
  std::string says;
};

class BadPax : public testing::TestWithParam<BadCase> {};

TEST_P(BadPax, IsCorrupt) {
  const std::string found = failure(member({.type = 'x'}, GetParam().records) + member({}));
  EXPECT_THAT(found, StartsWith("corrupt: archive at byte 0: "));
  EXPECT_THAT(found, HasSubstr(GetParam().says));
}

INSTANTIATE_TEST_SUITE_P(
    All, BadPax,
    testing::Values(BadCase{"path=x\n", "have no length at 'path=x\\x0a'"},
                    BadCase{"99999999999999999999 path=x\n", "have no length"},
                    BadCase{"-9 path=x\n", "have no length"}, BadCase{"99 path=x\n", "have a wrong length"},
                    BadCase{"1 path=x\n", "have a wrong length"}, BadCase{"2 \n", "have a wrong length"},
                    BadCase{"8 path=xx\n", "do not end in a newline"}, BadCase{"8 pathx\n", "have no key"},
                    BadCase{"5 =x\n", "have no key"}, BadCase{"3 \n", "have no key"},
                    BadCase{pax_record("path", "a\0b"s), "record path=a\\x00b holds a NUL"},
                    BadCase{pax_record("linkpath", "a\0b"s), "holds a NUL"},
                    BadCase{pax_record("size", "-1"), "record size=-1 is negative"},
                    BadCase{pax_record("size", "12k"), "is no number"},
                    BadCase{pax_record("size", "9223372036854775808"), "is no number within 64 bits"},
                    BadCase{pax_record("uid", "root"), "is no number"},
                    BadCase{pax_record("mtime", "9223372036854775808"),
                            "is no time within 64 bits of seconds"},
                    BadCase{pax_record("SCHILY.xattr.", "x"), "names no attribute"},
                    BadCase{pax_record("LIBARCHIVE.xattr.user.a", "?"), "is not in base 64"},
                    BadCase{pax_record("LIBARCHIVE.xattr.a%00", "YWJj"), "names no attribute"}));

}  // namespace
}  // namespace erofs_oci
