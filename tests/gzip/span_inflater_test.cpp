// SPDX-License-Identifier: Apache-2.0
#include "gzip/span_inflater.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <random>

#include "base/error.h"
#include "base/file.h"
#include "gzip/gzip_testing.h"

namespace erofs_oci {
namespace {

using testing::gunzip_with_zlib;

const std::string kData = TEST_DATA_DIR;

std::string contents(const std::string& name) { return read_text_file(kData + "/" + name, 64 * kMiB); }

/// Inflates span `span` alone, as a reader would that has fetched only its bytes.
std::vector<std::byte> inflate_span(const Zinfo& zinfo, Bytes blob, size_t span) {
  const ByteRange range = zinfo.compressed_range(span);
  std::vector<std::byte> window(kWindowSize);
  zinfo.read_window(span, window);
  const bool last = span + 1 == zinfo.span_count();
  std::vector<std::byte> out(last ? 16 * kMiB
                                  : zinfo.checkpoint(span + 1).out - zinfo.checkpoint(span).out);
  SpanInflater inflater;
  inflater.start(zinfo.checkpoint(span), window, blob.subspan(range.offset, range.length));
  out.resize(inflater.read(out));
  return out;
}

struct Golden {
  const char* blob;
  const char* zinfo;
};

class GoldenSpans : public ::testing::TestWithParam<Golden> {};

TEST_P(GoldenSpans, EachSpanAloneGivesZlibsBytes) {
  const std::string blob = contents(GetParam().blob);
  const auto expected = gunzip_with_zlib(as_bytes(blob));
  const Zinfo zinfo(open_file(kData + "/" + GetParam().zinfo, O_RDONLY), "zinfo", blob.size());
  uint64_t offset = 0;
  for (size_t span = 0; span < zinfo.span_count(); ++span) {
    ASSERT_EQ(zinfo.checkpoint(span).out, offset);
    const auto out = inflate_span(zinfo, as_bytes(blob), span);
    ASSERT_LE(offset + out.size(), expected.size());
    EXPECT_TRUE(std::equal(out.begin(), out.end(), expected.begin() + static_cast<ptrdiff_t>(offset))) << span;
    offset += out.size();
  }
  EXPECT_EQ(offset, expected.size());
}

INSTANTIATE_TEST_SUITE_P(Files, GoldenSpans,
                         ::testing::Values(Golden{"layer.tar.gz", "layer.zinfo"},
                                           Golden{"layer.tar.gz", "layer.v1.zinfo"},
                                           Golden{"members.tar.gz", "members.zinfo"}),
                         [](const auto& test) {
                           std::string name = test.param.zinfo;
                           std::ranges::replace(name, '.', '_');
                           return name;
                         });

std::vector<std::byte> noise(size_t size, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::byte> data(size);
  for (auto& byte : data) byte = static_cast<std::byte>(random() % 23);
  return data;
}

TEST(SpanInflater, GoesOverMembersAndStopsAtZeroPadding) {
  auto blob = testing::gzip(noise(300'000, 1), "a name");
  const auto second = testing::gzip(noise(5, 2));
  blob.insert(blob.end(), second.begin(), second.end());
  blob.resize(blob.size() + 700);
  SpanInflater inflater;
  inflater.start({.at_gzip_header = true}, std::vector<std::byte>(kWindowSize), blob);
  std::vector<std::byte> out(1 << 20);
  out.resize(inflater.read(out));
  EXPECT_EQ(out, gunzip_with_zlib(blob));
}

TEST(SpanInflater, GivesTheSameBytesInSmallPieces) {
  const auto data = noise(200'000, 3);
  const auto blob = testing::gzip(data);
  SpanInflater inflater;
  inflater.start({.at_gzip_header = true}, std::vector<std::byte>(kWindowSize), blob);
  std::vector<std::byte> out(data.size() + 1);
  size_t done = 0;
  while (const size_t count = inflater.read(MutableBytes(out).subspan(done, std::min<size_t>(out.size() - done, 777)))) {
    done += count;
  }
  out.resize(done);
  EXPECT_EQ(out, data);
}

TEST(SpanInflater, EndsShortWhereInputIsCut) {
  auto blob = testing::gzip(noise(200'000, 4));
  blob.resize(blob.size() / 2);
  SpanInflater inflater;
  inflater.start({.at_gzip_header = true}, std::vector<std::byte>(kWindowSize), blob);
  std::vector<std::byte> out(200'000);
  EXPECT_LT(inflater.read(out), out.size());
}

TEST(SpanInflater, RefusesWhatIsNotGzip) {
  const auto garbage = noise(5000, 5);
  SpanInflater inflater;
  std::vector<std::byte> out(1000);
  inflater.start({.at_gzip_header = true}, std::vector<std::byte>(kWindowSize), garbage);
  EXPECT_THROW(inflater.read(out), Error);
  const std::vector<std::byte> invalid_block(100, std::byte{0xff});
  inflater.start({.in = 1, .out = 0}, std::vector<std::byte>(kWindowSize), invalid_block);
  EXPECT_THROW(inflater.read(out), Error);
}

TEST(GzipHeader, CountsEveryOptionalField) {
  const std::string fixed = "\x1f\x8b\x08";
  const auto header = [&](uint8_t flags, const std::string& rest) {
    return fixed + static_cast<char>(flags) + std::string(6, '\0') + rest;
  };
  using namespace std::string_literals;
  EXPECT_EQ(gzip_header_length(as_bytes(header(0, ""))), 10u);
  EXPECT_EQ(gzip_header_length(as_bytes(header(4, "\x03\x00" "abc"s))), 15u);
  EXPECT_EQ(gzip_header_length(as_bytes(header(8, "name\0"s))), 15u);
  EXPECT_EQ(gzip_header_length(as_bytes(header(0x1e, "\x01\x00x" "n\0c\0" "ab"s))), 19u);
  EXPECT_EQ(gzip_header_length(as_bytes(header(8, "never ends"))), 0u);
  EXPECT_EQ(gzip_header_length(as_bytes(header(4, "\xff\xff"))), 0u);
  EXPECT_THROW(gzip_header_length(as_bytes(header(0x20, ""))), Error);
}

}  // namespace
}  // namespace erofs_oci
