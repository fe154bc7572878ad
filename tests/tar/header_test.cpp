// SPDX-License-Identifier: Apache-2.0
#include "tar/header.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <string>

namespace erofs_oci {
namespace {

std::string block(const std::string& name, const std::string& size, char type = '0', const std::string& prefix = "") {
  std::string text(kTarBlock, '\0');
  text.replace(0, name.size(), name);
  text.replace(124, size.size(), size);
  text[156] = type;
  text.replace(257, 8, std::string("ustar\00000", 8));
  text.replace(345, prefix.size(), prefix);
  text.replace(148, 8, 8, ' ');
  unsigned sum = 0;
  for (const char c : text) sum += static_cast<unsigned char>(c);
  char digits[8];
  std::snprintf(digits, sizeof digits, "%06o", sum);
  text.replace(148, 7, std::string(digits, 7));
  return text;
}

TEST(TarHeader, ReadsNamePrefixSizeAndType) {
  const auto header = parse_tar_header(as_bytes(block("file", "00000000017", '0', "some/dir")));
  ASSERT_TRUE(header);
  EXPECT_EQ(header->path, "some/dir/file");
  EXPECT_EQ(header->size, 15u);
  EXPECT_EQ(header->type, '0');
  EXPECT_FALSE(header->path_may_be_cut);
}

TEST(TarHeader, TakesTheTypeOfOldArchivesForARegularFile) {
  EXPECT_EQ(parse_tar_header(as_bytes(block("f", "0", '\0')))->type, '0');
}

TEST(TarHeader, SaysThatAFullNameMayBeCut) {
  EXPECT_TRUE(parse_tar_header(as_bytes(block(std::string(100, 'n'), "0")))->path_may_be_cut);
}

TEST(TarHeader, RejectsAWrongChecksum) {
  std::string text = block("file", "0");
  text[0] = 'F';
  EXPECT_FALSE(parse_tar_header(as_bytes(text)));
  EXPECT_FALSE(parse_tar_header(as_bytes(std::string(kTarBlock, '\0'))));
}

TEST(TarNumber, ReadsOctalAndBase256) {
  using namespace std::string_literals;
  EXPECT_EQ(parse_tar_number(as_bytes("0000644\0"s)), 0644u);
  EXPECT_EQ(parse_tar_number(as_bytes(" 644 \0\0"s)), 0644u);
  EXPECT_EQ(parse_tar_number(as_bytes(std::string(12, '\0'))), 0u);
  EXPECT_EQ(parse_tar_number(as_bytes("777777777777"s)), 0777777777777u);
  EXPECT_EQ(parse_tar_number(as_bytes("\x80\0\0\0\0\0\0\x02\0\0\0\0"s)), 1ull << 33);
}

TEST(TarNumber, RejectsWhatIsNone) {
  using namespace std::string_literals;
  EXPECT_FALSE(parse_tar_number(as_bytes("12x"s)));
  EXPECT_FALSE(parse_tar_number(as_bytes("-1"s)));
  EXPECT_FALSE(parse_tar_number(as_bytes(std::string(12, '\xff'))));
  EXPECT_FALSE(parse_tar_number(as_bytes("\x80\0\0\xff\0\0\0\0\0\0\0\0"s)));
}

}  // namespace
}  // namespace erofs_oci
