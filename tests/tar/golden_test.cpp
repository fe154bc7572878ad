// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "tar/archive.h"

namespace erofs_oci {
namespace {

using testing::ElementsAre;

std::string archive(const std::string& name) {
  std::ifstream file(TEST_DATA_DIR "/tar/" + name + ".tar", std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// `text` with each run of 20 or more equal characters as its character and length.
std::string shortened(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const size_t end = std::min(text.find_first_not_of(text[i], i), text.size());
    out += end - i < 20 ? text.substr(i, end - i) : fmt::format("{}{{{}}}", text[i], end - i);
    i = end;
  }
  return out;
}

/// "TYPE MODE UID/GID SIZE SECONDS+NANOSECONDS PATH[ -> LINK][ MAJOR,MINOR][ XATTR]…"
std::string summary(const TarMember& member) {
  std::string text = fmt::format("{} {:o} {}/{} {} {}+{} {}", "fhlcbdp"[static_cast<size_t>(member.type)],
                                 member.permissions, member.uid, member.gid, member.size, member.mtime,
                                 member.mtime_nanoseconds, shortened(member.path));
  if (!member.link.empty()) text += " -> " + shortened(member.link);
  if (member.device_major != 0) text += fmt::format(" {},{}", member.device_major, member.device_minor);
  for (const TarXattr& xattr : member.xattrs) text += fmt::format(" {}={}", xattr.name, xattr.value.size());
  return text;
}

std::vector<std::string> summaries(const std::string& name) {
  std::vector<std::string> all;
  for (const TarMember& member : read_archive(archive(name))) all.push_back(summary(member));
  return all;
}

TEST(GoldenTar, GnuTarsV7) {
  EXPECT_THAT(summaries("gnu-v7"),
              ElementsAre("f 4755 0/0 5 981173106+0 dir/file",         //
                          "l 777 0/0 0 981173106+0 dir/link -> file",  //
                          "h 4755 0/0 0 981173106+0 dir/hard -> dir/file", "d 755 0/0 0 981173106+0 dir/"));
}

TEST(GoldenTar, GnuTars) {
  EXPECT_THAT(
      summaries("gnu"),
      ElementsAre("d 755 0/0 0 981173106+0 dir/",               //
                  "f 644 70000/70001 0 981173106+0 dir/empty",  //
                  "p 644 0/0 0 -2+0 dir/fifo",                  //
                  "f 4755 0/0 5 981173106+0 dir/file",          //
                  "h 4755 0/0 0 981173106+0 dir/hard -> dir/file", "l 777 0/0 0 981173106+0 dir/link -> file",
                  "l 777 0/0 0 981173106+0 dir/longlink -> l{150}",
                  "f 644 0/0 4 981173106+0 dir/n{160}",  //
                  "c 644 0/0 0 981173106+0 dir/null 1,3"));
}

TEST(GoldenTar, GnuTarsPax) {
  EXPECT_THAT(summaries("gnu-pax"),
              ElementsAre("d 755 0/0 0 981173106+123456789 dir/",               //
                          "f 644 70000/70001 0 981173106+123456789 dir/empty",  //
                          "p 644 0/0 0 -2+500000000 dir/fifo",
                          "f 4755 0/0 5 981173106+123456789 dir/file "
                          "security.capability=20 user.empty=0 user.mime_type=10",
                          "h 4755 0/0 0 981173106+123456789 dir/hard -> dir/file",
                          "l 777 0/0 0 981173106+123456789 dir/link -> file",
                          "l 777 0/0 0 981173106+123456789 dir/longlink -> l{150}",
                          "f 644 0/0 4 981173106+123456789 dir/n{160}",
                          "c 644 0/0 0 981173106+123456789 dir/null 1,3"));
}

TEST(GoldenTar, BsdtarsPax) {
  EXPECT_THAT(summaries("bsdtar-pax"), ElementsAre("d 755 0/0 0 981173106+123456789 dir/",
                                                   "f 4755 0/0 5 981173106+123456789 dir/file "
                                                   "security.capability=20 user.empty=0 user.mime_type=10",
                                                   "p 644 0/0 0 -3+500000000 dir/fifo",
                                                   "f 644 70000/70001 0 981173106+123456789 dir/empty",
                                                   "l 777 0/0 0 981173106+123456789 dir/link -> file",
                                                   "l 777 0/0 0 981173106+123456789 dir/longlink -> l{150}",
                                                   "h 4755 0/0 0 981173106+123456789 dir/hard -> dir/file "
                                                   "security.capability=20 user.empty=0 user.mime_type=10",
                                                   "f 644 0/0 4 981173106+123456789 dir/n{160}",
                                                   "c 644 0/0 0 981173106+123456789 dir/null 1,3"));
}

TEST(GoldenTar, BsdtarsGnu) {
  EXPECT_THAT(
      summaries("bsdtar-gnutar"),
      ElementsAre("d 755 0/0 0 981173106+0 dir/",       //
                  "f 4755 0/0 5 981173106+0 dir/file",  //
                  "p 644 0/0 0 0+0 dir/fifo",           //
                  "f 644 70000/70001 0 981173106+0 dir/empty", "l 777 0/0 0 981173106+0 dir/link -> file",
                  "l 777 0/0 0 981173106+0 dir/longlink -> l{150}",
                  "h 4755 0/0 0 981173106+0 dir/hard -> dir/file",
                  "f 644 0/0 4 981173106+0 dir/n{160}",  //
                  "c 644 0/0 0 981173106+0 dir/null 1,3"));
}

TEST(GoldenTar, PythonsGnu) {
  EXPECT_THAT(summaries("python-gnu"), ElementsAre("f 640 70000/4294967294 4 981173106+0 a/n{160}",
                                                   "f 644 0/0 0 -981173106+0 old",        //
                                                   "h 644 0/0 0 0+0 a/hard -> a/n{160}",  //
                                                   "d 755 0/0 0 0+0 café/",               //
                                                   "b 644 0/0 0 0+0 dev 259,300000",      //
                                                   "f 644 0/0 1 0+0 cont"));
}

TEST(GoldenTar, PythonsPaxWithAGlobalHeader) {
  EXPECT_THAT(summaries("python-pax"), ElementsAre("f 640 70000/4294967294 4 981173106+250000000 a/n{160}",
                                                   "f 644 0/7 0 -981173106+0 old",        //
                                                   "h 644 0/7 0 0+0 a/hard -> a/n{160}",  //
                                                   "d 755 0/7 0 0+0 café/",               //
                                                   "b 644 0/7 0 0+0 dev 259,300000",      //
                                                   "f 644 0/7 1 0+0 cont"));
}

TEST(GoldenTar, GosPax) {
  EXPECT_THAT(summaries("go-pax"),
              ElementsAre("d 755 0/0 0 981173106+0 usr/",
                          "f 4755 3000000/5 4 981173106+123456789 usr/n{160} security.capability=20",
                          "l 777 0/0 0 981173106+0 usr/link -> l{150}",
                          "h 644 0/0 0 981173106+0 usr/hard -> usr/n{160}",
                          "c 666 0/0 0 981173106+0 usr/null 1,3",  //
                          "f 0 0/0 0 -1+0 usr/.wh.gone"));
}

TEST(GoldenTar, GosGnu) {
  EXPECT_THAT(summaries("go-gnu"),
              ElementsAre("d 755 0/0 0 981173106+0 usr/", "f 4755 3000000/5 4 981173106+0 usr/n{160}",
                          "l 777 0/0 0 981173106+0 usr/link -> l{150}",
                          "h 644 0/0 0 981173106+0 usr/hard -> usr/n{160}",
                          "c 666 0/0 0 981173106+0 usr/null 1,3",  //
                          "f 0 0/0 0 -1+0 usr/.wh.gone"));
}

/// The file of `size` bytes that the only member of `bytes` stores with holes.
std::string unpacked(const std::string& bytes) {
  const TarMember member = read_one(bytes);
  std::string content(member.size, '\0');
  for (const TarData& data : member.data) {
    content.replace(data.file_offset, data.length, bytes, data.archive_offset, data.length);
  }
  return content;
}

/// 4 KiB of each digit from 0 on, 128 KiB apart, as the golden sparse files have them.
std::string digits(size_t count) {
  std::string content(1'000'000, '\0');
  for (size_t i = 0; i < count; ++i)
    content.replace((i + 1) * 131072, 4096, 4096, static_cast<char>('0' + i));
  return content;
}

TEST(GoldenTar, SparseFilesOfEachFormat) {
  EXPECT_TRUE(unpacked(archive("gnu-sparse")) == digits(6));
  for (const char* name : {"gnu-sparse-0.0", "gnu-sparse-0.1", "gnu-sparse-1.0", "bsdtar-sparse"}) {
    EXPECT_TRUE(unpacked(archive(name)) == digits(2)) << name;
    EXPECT_EQ(read_one(archive(name)).path, "sparse");
  }
}

class AnyPiece : public testing::TestWithParam<std::string> {};

TEST_P(AnyPiece, GivesTheSameMembers) {
  const std::string bytes = archive(GetParam());
  const std::vector<TarMember> whole = read_archive(bytes);
  EXPECT_FALSE(whole.empty());
  for (const size_t piece : {1u, 7u, 511u, 512u, 513u, 4096u}) {
    EXPECT_TRUE(read_archive(bytes, piece) == whole) << piece;
  }
}

INSTANTIATE_TEST_SUITE_P(All, AnyPiece,
                         testing::Values("gnu", "gnu-v7", "gnu-pax", "gnu-sparse", "gnu-sparse-0.0",
                                         "gnu-sparse-0.1", "gnu-sparse-1.0", "bsdtar-pax", "bsdtar-gnutar",
                                         "bsdtar-sparse", "python-pax", "python-gnu", "go-pax", "go-gnu"));

}  // namespace
}  // namespace erofs_oci
