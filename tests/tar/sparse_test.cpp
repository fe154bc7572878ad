// SPDX-License-Identifier: Apache-2.0
#include "tar/sparse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tar/archive.h"

namespace erofs_oci {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

using Ranges = std::vector<std::pair<uint64_t, uint64_t>>;

/// An old GNU sparse member of `real_size` bytes with `stored` bytes of data and `ranges`, in extension
/// blocks too.
std::string old_gnu(const Ranges& ranges, uint64_t real_size, size_t stored) {
  std::string blocks = header({.type = 'S', .size = octal(stored), .magic = kGnuMagicText});
  const std::string size = octal(real_size);
  blocks.replace(483, size.size(), size);
  size_t at = 386;
  size_t left = 4;
  size_t extended = 482;
  for (const auto& [offset, length] : ranges) {
    if (left == 0) {
      blocks[extended] = 1;
      at = blocks.size();
      left = 21;
      extended = at + 504;
      blocks.resize(at + kTarBlock);
    }
    blocks.replace(at, 24, fmt::format("{:011o} {:011o} ", offset, length));
    at += 24;
    --left;
  }
  std::string first = blocks.substr(0, kTarBlock);
  sign(first);
  return first + blocks.substr(kTarBlock) + padded(std::string(stored, 'x'));
}

/// The records and data of a file in PAX format 1.0 with `map` before its data.
std::string pax_1_0(const std::string& map, size_t stored, const std::string& size) {
  return pax({{"GNU.sparse.major", "1"},
              {"GNU.sparse.minor", "0"},
              {"GNU.sparse.name", "sparse"},
              {"GNU.sparse.realsize", size}}) +
         member({.name = "GNUSparseFile.1/sparse"}, padded(map) + std::string(stored, 'x'));
}

std::string pax_0_1(const std::string& map, size_t stored, const std::string& size) {
  return pax({{"GNU.sparse.size", size}, {"GNU.sparse.map", map}}) + member({}, std::string(stored, 'x'));
}

TEST(Sparse, OldGnuRangesAreRead) {
  const TarMember found = read_one(old_gnu({{512, 512}, {4096, 10}, {8192, 0}}, 8192, 522));
  EXPECT_EQ(found.size, 8192u);
  EXPECT_THAT(found.data, ElementsAre(TarData{512, 512, 512}, TarData{4096, 1024, 10}));
}

TEST(Sparse, OldGnuExtensionBlocksAreRead) {
  Ranges ranges;
  for (uint64_t i = 0; i < 50; ++i) ranges.emplace_back(i * 10, 5);
  const auto members = read_archive(old_gnu(ranges, 1000, 250) + member({.name = "next"}));
  ASSERT_EQ(members.size(), 2u);
  ASSERT_EQ(members[0].data.size(), 50u);
  EXPECT_EQ(members[0].data[49], (TarData{490, 4 * 512 + 245, 5}));
  EXPECT_EQ(members[1].header_offset, 5u * 512);
}

TEST(Sparse, OldGnuFileMayBeAllHole) {
  const TarMember found = read_one(old_gnu({{1 << 20, 0}}, 1 << 20, 0));
  EXPECT_EQ(found.size, 1u << 20);
  EXPECT_TRUE(found.data.empty());
}

TEST(Sparse, StarsFormatIsRefused) {
  EXPECT_THAT(failure(member({.type = 'S'})),
              StartsWith("unsupported: archive member 'file' at byte 0: it is a sparse"));
}

TEST(Sparse, Pax00IsRead) {
  const Records records{{"GNU.sparse.size", "100"},  {"GNU.sparse.numblocks", "2"},
                        {"GNU.sparse.offset", "10"}, {"GNU.sparse.numbytes", "5"},
                        {"GNU.sparse.offset", "90"}, {"GNU.sparse.numbytes", "10"}};
  const TarMember found = read_one(pax(records) + member({}, std::string(15, 'x')));
  EXPECT_EQ(found.size, 100u);
  EXPECT_THAT(found.data, ElementsAre(TarData{10, 2048 - 512, 5}, TarData{90, 2048 - 512 + 5, 10}));
}

TEST(Sparse, Pax01IsRead) {
  const Records records{{"GNU.sparse.name", "name"},
                        {"GNU.sparse.size", "100"},
                        {"GNU.sparse.numblocks", "1"},
                        {"GNU.sparse.map", "10,5"}};
  const TarMember found = read_one(pax(records) + member({}, "xxxxx"));
  EXPECT_EQ(found.path, "name");
  EXPECT_EQ(found.size, 100u);
  EXPECT_THAT(found.data, ElementsAre(TarData{10, 1536, 5}));
}

TEST(Sparse, Pax10IsRead) {
  const TarMember found = read_one(pax_1_0("2\n0\n5\n95\n5\n", 10, "100"));
  EXPECT_EQ(found.path, "sparse");
  EXPECT_EQ(found.size, 100u);
  EXPECT_THAT(found.data, ElementsAre(TarData{0, 2048, 5}, TarData{95, 2053, 5}));
}

TEST(Sparse, Pax10MapMayFillSeveralBlocks) {
  std::string map = "200\n";
  for (int i = 0; i < 200; ++i) map += fmt::format("{}\n1\n", i * 10);
  const auto members = read_archive(pax_1_0(map, 200, "2000") + member({.name = "next"}));
  ASSERT_EQ(members.size(), 2u);
  EXPECT_EQ(members[0].data.size(), 200u);
  EXPECT_EQ(members[0].data[0].archive_offset, 3 * 512 + padded(map).size());
}

TEST(Sparse, SizeBeyond8GiBIsRead) {
  EXPECT_EQ(read_one(pax_0_1("9223372036854775806,1", 1, "9223372036854775807")).data[0].file_offset,
            9223372036854775806u);
}

TEST(Sparse, MapsOfOneMemberDoNotPassToTheNext) {
  const auto members = read_archive(pax_0_1("0,1", 1, "9") + member({}, "yy") + pax_1_0("1\n0\n1\n", 1, "9") +
                                    pax_1_0("1\n3\n1\n", 1, "9"));
  ASSERT_EQ(members.size(), 4u);
  EXPECT_EQ(members[1].size, 2u);
  EXPECT_EQ(members[3].data.size(), 1u);
}

TEST(Sparse, GlobalRecordsAreIgnored) {
  const Records records{{"GNU.sparse.size", "100"}, {"GNU.sparse.map", "10,1"}};
  EXPECT_EQ(read_one(pax(records, 'g') + member({}, "x")).size, 1u);
}

TEST(Sparse, UnknownPaxFormatIsRefused) {
  for (const auto& [major, minor] : {std::pair{"1", "1"}, {"2", "0"}, {"0", "2"}}) {
    const Records records{
        {"GNU.sparse.major", major}, {"GNU.sparse.minor", minor}, {"GNU.sparse.realsize", "0"}};
    EXPECT_THAT(failure(pax(records) + member({})), StartsWith("unsupported")) << major << minor;
  }
}

struct BadCase {
  std::string archive;
  std::string says;
};

class BadSparse : public testing::TestWithParam<BadCase> {};

TEST_P(BadSparse, IsCorrupt) {
  const std::string found = failure(GetParam().archive);
  EXPECT_THAT(found, StartsWith("corrupt: archive"));
  EXPECT_THAT(found, HasSubstr(GetParam().says));
}

const std::string kBadPair = pax({{"GNU.sparse.offset", "1"}, {"GNU.sparse.offset", "2"}});
const std::string kMissingPair = pax({{"GNU.sparse.size", "9"}, {"GNU.sparse.offset", "1"}});
const std::string kWrongCount =
    pax({{"GNU.sparse.size", "9"}, {"GNU.sparse.numblocks", "2"}, {"GNU.sparse.map", "0,1"}});

INSTANTIATE_TEST_SUITE_P(
    All, BadSparse,
    testing::Values(BadCase{old_gnu({{100, 10}, {50, 10}}, 200, 20), "begins before 110"},
                    BadCase{old_gnu({{0, 10}, {5, 10}}, 200, 20), "the range at 5 begins before 10"},
                    BadCase{old_gnu({{0, 10}, {195, 10}}, 200, 20),
                            "it reaches to 205 in a file of 200 bytes"},
                    BadCase{old_gnu({{0, 10}}, 200, 20), "it has 10 bytes of data, the archive 20"},
                    BadCase{old_gnu({{0, 10}, {9, 0}}, 200, 10), "begins before 10"},
                    BadCase{old_gnu({{0, 1}, {1, 1}, {2, 1}, {3, 1}, {4, 1}}, 5, 5).substr(0, 700),
                            "inside a map of sparse ranges"},
                    BadCase{pax_0_1("0,5,x,5", 10, "100"), "'x' is no offset or length"},
                    BadCase{pax_0_1("0,5,7", 5, "100"), "'' is no offset or length"},
                    BadCase{pax_0_1("0,9223372036854775808", 5, "100"), "is no offset or length"},
                    BadCase{pax_0_1("1,9223372036854775807", 5, "100"), "the range at 1 is too long"},
                    BadCase{pax({{"GNU.sparse.map", "0,1"}}) + member({}, "x"), "do not say its size"},
                    BadCase{kBadPair + member({}), "follows an offset without length"},
                    BadCase{kMissingPair + member({}), "end with an offset without length"},
                    BadCase{pax({{"GNU.sparse.numbytes", "1"}}) + member({}), "follows no offset"},
                    BadCase{kWrongCount + member({}, "x"), "it has 1 sparse ranges instead of 2"},
                    BadCase{pax_1_0("1\n0\nx\n", 1, "100"), "something else than numbers"},
                    BadCase{pax_1_0("1\n\n", 1, "100"), "a number is missing"},
                    BadCase{pax_1_0("1\n0\n99999999999999999999\n", 1, "100"), "something else than numbers"},
                    BadCase{pax_1_0("1\n1\n9223372036854775807\n", 1, "100"), "is too long"},
                    BadCase{pax_1_0("1\n0\n5\n", 4, "100"), "it has 5 bytes of data, the archive 4"},
                    BadCase{pax_1_0("", 4, "100"), "end inside its map"}));

TEST(Sparse, RangesAreBounded) {
  SparseMap map;
  for (size_t i = 0; i < TarReader::kMaxSparseRanges; ++i) map.add(i, 1);
  EXPECT_THROW(map.add(TarReader::kMaxSparseRanges, 1), Error);
}

}  // namespace
}  // namespace erofs_oci
