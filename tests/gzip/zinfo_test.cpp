// SPDX-License-Identifier: Apache-2.0
#include "gzip/zinfo.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include "base/error.h"
#include "base/file.h"

namespace erofs_oci {
namespace {

using ::testing::HasSubstr;

struct Entry {
  uint64_t in;
  uint64_t out;
  uint8_t bits;
};

std::string table(uint32_t have, const std::vector<Entry>& entries) {
  std::string text(12, '\0');
  store_le(text.data(), have);
  store_le<uint64_t>(text.data() + 4, 4 * kMiB);
  for (const Entry& entry : entries) {
    std::string record(17 + kWindowSize, 'w');
    store_le(record.data(), entry.in);
    store_le(record.data() + 8, entry.out);
    record[16] = static_cast<char>(entry.bits);
    text += record;
  }
  return text;
}

Zinfo parse(const std::string& text, uint64_t blob_size = 1000) {
  UniqueFd file(::memfd_create("zinfo", MFD_CLOEXEC));
  write_all(file.get(), as_bytes(text), "memfd");
  return Zinfo(std::move(file), "x.zinfo", blob_size);
}

std::string refusal(const std::string& text, uint64_t blob_size = 1000) {
  try {
    parse(text, blob_size);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::corrupt);
    return error.what();
  }
  return "accepted";
}

TEST(Zinfo, SpansShareTheByteThatTheyShare) {
  const Zinfo zinfo = parse(table(3, {{10, 0, 0}, {100, 5000, 3}, {200, 9000, 0}}));
  EXPECT_EQ(zinfo.compressed_range(0), ByteRange::from_to(10, 100));
  EXPECT_EQ(zinfo.compressed_range(1), ByteRange::from_to(99, 200));
  EXPECT_EQ(zinfo.compressed_range(2), ByteRange::from_to(200, 1000));
}

TEST(Zinfo, Version1ImpliesItsFirstCheckpointAtTheHeader) {
  const Zinfo zinfo = parse(table(2, {{100, 5000, 3}}));
  ASSERT_EQ(zinfo.span_count(), 2u);
  EXPECT_TRUE(zinfo.checkpoint(0).at_gzip_header);
  EXPECT_EQ(zinfo.compressed_range(0), ByteRange::from_to(0, 100));
  std::vector<std::byte> window(kWindowSize);
  zinfo.read_window(1, window);
  EXPECT_EQ(window.back(), std::byte{'w'});
}

TEST(Zinfo, RefusesEachBadTableInWords) {
  const auto two = [](Entry a, Entry b) { return table(2, {a, b}); };
  EXPECT_THAT(refusal("short"), HasSubstr("less than its header"));
  EXPECT_THAT(refusal(table(0, {})), HasSubstr("no checkpoints"));
  EXPECT_THAT(refusal(table(5, {{10, 0, 0}})), HasSubstr("truncated"));
  EXPECT_THAT(refusal(table(0xffffffff, {{10, 0, 0}})), HasSubstr("more than"));
  EXPECT_THAT(refusal(two({10, 0, 0}, {100, 5000, 8})), HasSubstr("spare bits"));
  EXPECT_THAT(refusal(two({10, 1, 0}, {100, 5000, 0})), HasSubstr("first checkpoint is at output byte 1"));
  EXPECT_THAT(refusal(two({10, 0, 0}, {100, 0, 0})), HasSubstr("does not lie behind"));
  EXPECT_THAT(refusal(two({10, 0, 0}, {10, 50, 0})), HasSubstr("does not lie behind"));
  EXPECT_THAT(refusal(two({10, 0, 0}, {1000, 50, 0})), HasSubstr("another layer"));
  EXPECT_THAT(refusal(two({0, 0, 1}, {100, 50, 0})), HasSubstr("before the layer"));
}

TEST(Zinfo, NamesTheFileItRefuses) { EXPECT_THAT(refusal("short"), HasSubstr("x.zinfo: ")); }

TEST(Zinfo, GoldenTablesBelongToTheirLayer) {
  const std::string folder = TEST_DATA_DIR;
  const auto size = std::filesystem::file_size(folder + "/layer.tar.gz");
  EXPECT_EQ(Zinfo(open_file(folder + "/layer.zinfo", O_RDONLY), "v2", size).span_count(), 2u);
  EXPECT_EQ(Zinfo(open_file(folder + "/layer.v1.zinfo", O_RDONLY), "v1", size).span_count(), 2u);
}

}  // namespace
}  // namespace erofs_oci
