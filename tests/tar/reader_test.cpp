// SPDX-License-Identifier: Apache-2.0
#include "tar/reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "tar/archive.h"

namespace erofs_oci {
namespace {

using namespace std::string_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

constexpr uint64_t kMostSize = std::numeric_limits<int64_t>::max();

std::vector<std::string> paths(const std::string& archive) {
  std::vector<std::string> all;
  for (TarMember& found : read_archive(archive)) all.push_back(std::move(found.path));
  return all;
}

TEST(TarReader, TellsAMemberWithAllFields) {
  const TarMember found =
      read_one(member({.name = "dir/file", .mode = "104755", .uid = "1", .gid = "2", .mtime = "3"}, "data") +
               end_blocks());
  EXPECT_EQ(found.path, "dir/file");
  EXPECT_EQ(found.type, TarType::regular);
  EXPECT_EQ(found.permissions, 04755);
  EXPECT_EQ(found.uid, 1u);
  EXPECT_EQ(found.gid, 2u);
  EXPECT_EQ(found.mtime, 3);
  EXPECT_EQ(found.size, 4u);
  EXPECT_THAT(found.data, ElementsAre(TarData{0, 512, 4}));
  EXPECT_EQ(found.header_offset, 0u);
}

TEST(TarReader, PutsOffsetsBehindEarlierMembers) {
  const auto members =
      read_archive(member({}, std::string(513, 'x')) + pax({{"mtime", "1"}}) + member({}, "y"));
  ASSERT_EQ(members.size(), 2u);
  EXPECT_EQ(members[1].header_offset, 1536u + 1024u);
  EXPECT_THAT(members[1].data, ElementsAre(TarData{0, 1536 + 1024 + 512, 1}));
}

TEST(TarReader, SaysWhereMembersEnd) {
  TarReader reader([](TarMember&&) {});
  EXPECT_EQ(reader.end_of_members(), 0u);
  reader.feed(as_bytes(member({}, "x") + end_blocks() + end_blocks()));
  reader.finish();
  EXPECT_EQ(reader.end_of_members(), 1024u);
}

TEST(TarReader, TellsTheSameWhereDataAreSkipped) {
  const std::string archive = pax({{"mtime", "1"}}) + member({.name = "a"}, std::string(5000, 'x')) +
                              member({.name = "b"}, "y") + end_blocks() + std::string(9000, 'z');
  std::vector<TarMember> members;
  TarReader reader([&](TarMember&& found) { members.push_back(std::move(found)); });
  uint64_t looked_at = 0;
  for (uint64_t at = 0; at < archive.size();) {
    if (const uint64_t rest = std::min<uint64_t>(reader.skippable(), archive.size() - at)) {
      reader.skip(rest);
      at += rest;
      continue;
    }
    reader.feed(as_bytes(archive).subspan(at, 256));
    at += 256;
    looked_at += 256;
  }
  reader.finish();
  EXPECT_EQ(members, read_archive(archive));
  EXPECT_EQ(looked_at, 512u + 256u + 512u + 512u + 2 * 512u) << "headers, a piece with records, the end";
}

struct TypeCase {
  char flag;
  std::string name;
  TarType type;
};

class TarMemberType : public testing::TestWithParam<TypeCase> {};

TEST_P(TarMemberType, IsReadFromFlagAndName) {
  const auto& [flag, name, type] = GetParam();
  EXPECT_EQ(read_one(member({.name = name, .type = flag, .link = "l"})).type, type);
}

INSTANTIATE_TEST_SUITE_P(
    All, TarMemberType,
    testing::Values(TypeCase{'0', "f", TarType::regular}, TypeCase{'\0', "f", TarType::regular},
                    TypeCase{'7', "f", TarType::regular}, TypeCase{'Z', "f", TarType::regular},
                    TypeCase{'0', "d/", TarType::directory}, TypeCase{'\0', "d/", TarType::directory},
                    TypeCase{'5', "d", TarType::directory}, TypeCase{'D', "d", TarType::directory},
                    TypeCase{'1', "h", TarType::hard_link}, TypeCase{'2', "s", TarType::symlink},
                    TypeCase{'3', "c", TarType::character_device}, TypeCase{'4', "b", TarType::block_device},
                    TypeCase{'6', "p", TarType::fifo}));

class HeaderOnlyType : public testing::TestWithParam<char> {};

TEST_P(HeaderOnlyType, HasNoDataWhateverItsSizeSays) {
  const auto members =
      read_archive(header({.type = GetParam(), .size = "1000", .link = "l"}) + member({.name = "next"}));
  ASSERT_EQ(members.size(), 2u);
  EXPECT_EQ(members[0].size, 0u);
  EXPECT_TRUE(members[0].data.empty());
  EXPECT_EQ(members[1].header_offset, 512u);
}

INSTANTIATE_TEST_SUITE_P(All, HeaderOnlyType, testing::Values('1', '2', '3', '4', '5', '6'));

TEST(TarReader, PassesOverTheNamesInADumpedDirectory) {
  const auto members =
      read_archive(member({.name = "d/", .type = 'D'}, "Yfile\0"s) + member({.name = "next"}));
  ASSERT_EQ(members.size(), 2u);
  EXPECT_EQ(members[0].size, 0u);
  EXPECT_TRUE(members[0].data.empty());
}

TEST(TarReader, PassesOverAVolumeLabel) {
  EXPECT_THAT(paths(member({.name = "label", .type = 'V'}) + member({.name = "file"})), ElementsAre("file"));
}

TEST(TarReader, RefusesAFileThatGoesOnFromAnotherVolume) {
  EXPECT_EQ(failure(member({.type = 'M'})),
            "unsupported: archive at byte 0: it goes on from another volume; make the archive in one volume");
}

TEST(TarReader, ReadsGnuLongNamesAndLinks) {
  const std::string name(5000, 'n');
  const std::string link(300, 'l');
  const TarMember found = read_one(gnu_long('K', link) + gnu_long('L', name) +
                                   member({.name = "cut", .type = '2', .link = "cut"}));
  EXPECT_EQ(found.path, name);
  EXPECT_EQ(found.link, link);
}

TEST(TarReader, UsesALongNameForOneMemberOnly) {
  EXPECT_THAT(paths(gnu_long('L', "long") + member({.name = "a"}) + member({.name = "b"})),
              ElementsAre("long", "b"));
}

TEST(TarReader, PrefersAGnuLongNameToPax) {
  EXPECT_THAT(paths(pax({{"path", "pax"}}) + gnu_long('L', "gnu") + member({})), ElementsAre("gnu"));
}

TEST(TarReader, KeepsNamesAsTheyStand) {
  EXPECT_THAT(paths(member({.name = "./a"}) + member({.name = "/b"}) + member({.name = "c/../d"}) +
                    member({.name = "a"})),
              ElementsAre("./a", "/b", "c/../d", "a"));
}

TEST(TarReader, ReadsDevices) {
  const TarMember found = read_one(member({.type = '4', .major = "7777", .minor = base256(0xfffff, 8)}));
  EXPECT_EQ(found.device_major, 0xfffu);
  EXPECT_EQ(found.device_minor, 0xfffffu);
}

TEST(TarReader, RefusesADeviceNumberThatLinuxHasNot) {
  EXPECT_EQ(failure(member({.name = "dev\x01", .type = '3', .major = "10000"})),
            "unsupported: archive member 'dev\\x01' at byte 0: its major device number is 4096; Linux has 0 "
            "to 4095");
  EXPECT_THAT(failure(member({.type = '3', .minor = base256(-1, 8)})), StartsWith("unsupported"));
  EXPECT_THAT(failure(member({.type = '0', .minor = "77777777"})), "none");
}

TEST(TarReader, ReadsOwnersUpTo32Bits) {
  const TarMember found = read_one(member({.uid = base256(4294967295, 8), .gid = "7777777"}));
  EXPECT_EQ(found.uid, 4294967295u);
  EXPECT_EQ(found.gid, 07777777u);
}

TEST(TarReader, RefusesAnOwnerBeyond32Bits) {
  EXPECT_EQ(
      failure(member({}) + member({.name = "f", .uid = base256(4294967296, 8)})),
      "unsupported: archive member 'f' at byte 512: its owner is 4294967296; Linux has 0 to 4294967295");
  EXPECT_THAT(failure(member({.gid = base256(-2, 8)})), HasSubstr("its group is -2"));
  EXPECT_THAT(failure(pax({{"uid", "4294967296"}}) + member({})), StartsWith("unsupported"));
}

TEST(TarReader, ReadsATimeBefore1970) {
  EXPECT_EQ(read_one(member({.mtime = base256(-981173106)})).mtime, -981173106);
}

TEST(TarReader, RefusesNumbersThatCannotBeRead) {
  EXPECT_EQ(failure(member({.mode = "rw"})),
            "corrupt: archive member 'file' at byte 0: its mode is no number within 64 bits");
  EXPECT_THAT(failure(member({.uid = "me"})), HasSubstr("its owner is no number"));
  EXPECT_THAT(failure(member({.mtime = "\x80\0\0\xff\0\0\0\0\0\0\0\0"s})),
              HasSubstr("its time is no number"));
}

TEST(TarReader, SkipsDataLargerThanPiecesAndOctal) {
  std::vector<TarMember> members;
  TarReader reader([&](TarMember&& found) { members.push_back(std::move(found)); });
  constexpr uint64_t kSize = 9 * kGiB;
  reader.feed(as_bytes(header({.size = base256(kSize)})));
  const std::string piece(64 * kMiB, 'x');
  for (uint64_t fed = 0; fed < kSize; fed += piece.size()) reader.feed(as_bytes(piece));
  reader.feed(as_bytes(member({}, "y")));
  reader.finish();
  ASSERT_EQ(members.size(), 2u);
  EXPECT_EQ(members[0].size, kSize);
  EXPECT_EQ(members[1].data[0].archive_offset, 512 + kSize + 512);
}

TEST(TarReader, TakesTheLargestSizeWithoutOverflow) {
  const std::string cut = failure(header({.size = base256(static_cast<int64_t>(kMostSize))}) + "x");
  EXPECT_THAT(cut, HasSubstr("ends at byte 513, inside data, 9223372036854775806 bytes before their end"));
}

TEST(TarReader, ReadsAnArchiveWithoutEndBlocks) {
  EXPECT_THAT(paths(member({}, "x")), ElementsAre("file"));
}

TEST(TarReader, ReadsAnArchiveWithOneEndBlock) {
  EXPECT_THAT(paths(member({}, "x") + std::string(512, '\0')), ElementsAre("file"));
}

TEST(TarReader, ReadsAnEmptyArchive) {
  EXPECT_TRUE(read_archive("").empty());
  EXPECT_TRUE(read_archive(end_blocks()).empty());
}

TEST(TarReader, IgnoresWhatFollowsTheEndBlocks) {
  EXPECT_THAT(paths(member({}) + end_blocks() + member({.name = "hidden"}) + "garbage"), ElementsAre("file"));
}

TEST(TarReader, RefusesAHeaderBehindASingleZeroBlock) {
  EXPECT_EQ(failure(member({}) + std::string(512, '\0') + member({})),
            "corrupt: archive at byte 1024: something follows a single block of zeros, where an archive ends "
            "with two");
}

TEST(TarReader, RefusesWhatIsNoHeader) {
  EXPECT_THAT(failure(std::string(512, 'x')),
              StartsWith("corrupt: archive at byte 0: no member's header stands"));
}

TEST(TarReader, RefusesAnArchiveCutInData) {
  EXPECT_EQ(
      failure(member({}) + header({.name = "cut", .size = "12"}) + "12345"),
      "corrupt: archive member 'cut' at byte 512: the archive ends at byte 1029, inside data, 5 bytes before "
      "their end; was it cut?");
}

TEST(TarReader, DoesNotTellAMemberWhoseDataAreCut) {
  bool told = false;
  TarReader reader([&](TarMember&&) { told = true; });
  reader.feed(as_bytes(header({.size = "12"}) + "12345"));
  EXPECT_FALSE(told);
}

TEST(TarReader, RefusesAnArchiveCutInAHeader) {
  EXPECT_EQ(failure(member({}) + header({}).substr(0, 100)),
            "corrupt: the archive ends at byte 612, inside a header; was it cut?");
  const std::string long_name = gnu_long('L', std::string(600, 'n'));
  EXPECT_THAT(failure(long_name.substr(0, 700)), HasSubstr("inside an extended header"));
  EXPECT_THAT(failure(long_name), HasSubstr("inside the headers of a member"));
  EXPECT_THAT(failure(long_name.substr(0, 512 + 601)), HasSubstr("inside the headers of a member"));
  EXPECT_THAT(failure(long_name + end_blocks()),
              HasSubstr("ends behind an extended header without its member"));
}

TEST(TarReader, TakesALastMemberWithoutPadding) {
  TarReader reader([](TarMember&&) {});
  reader.feed(as_bytes(header({.size = "3"}) + "xyz"));
  reader.finish();
  EXPECT_EQ(reader.end_of_members(), 1024u);
}

TEST(TarReader, RefusesAMemberWithoutName) {
  EXPECT_EQ(failure(member({.name = ""})), "corrupt: archive at byte 0: a member has no name");
}

TEST(TarReader, RefusesALinkWithoutTarget) {
  EXPECT_THAT(failure(member({.type = '2'})), HasSubstr("'file' at byte 0: it is a link without a target"));
}

TEST(TarReader, BoundsExtendedHeaders) {
  const std::string size = octal(TarReader::kMaxHeaderData + 1);
  EXPECT_THAT(failure(header({.type = 'x', .size = size})),
              HasSubstr("has 1048577 bytes, at most 1048576 are read"));
  EXPECT_THAT(failure(header({.type = 'L', .size = size})), StartsWith("unsupported"));
}

TEST(TarReader, LetsAVisitorsErrorThroughUnchanged) {
  TarReader reader([](TarMember&&) { throw Error(ErrorKind::no_space, "the index is full"); });
  try {
    reader.feed(as_bytes(member({})));
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "the index is full");
  }
}

}  // namespace
}  // namespace erofs_oci
