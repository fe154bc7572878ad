// SPDX-License-Identifier: Apache-2.0
#include "index/tarindex.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include "base/error.h"
#include "base/file.h"
#include "erofs/ondisk.h"
#include "gzip/gzip_testing.h"

namespace erofs_oci {
namespace {

using ::testing::HasSubstr;

const std::string kData = TEST_DATA_DIR;

std::string golden() { return read_text_file(kData + "/layer.erofs", kMiB); }

std::vector<std::byte> golden_tar() {
  return testing::gunzip_with_zlib(as_bytes(read_text_file(kData + "/layer.tar.gz", 64 * kMiB)));
}

UniqueFd file_of(const std::string& text) {
  UniqueFd file(::memfd_create("tarindex", MFD_CLOEXEC));
  write_all(file.get(), as_bytes(text), "memfd");
  return file;
}

std::string refusal(const std::string& text) {
  const UniqueFd file = file_of(text);
  try {
    open_tarindex(file.get(), "x.erofs");
    pick_samples(file.get(), "x.erofs", 3);
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Tarindex, DescribesTheGoldenOne) {
  const UniqueFd file = file_of(golden());
  const Tarindex index = open_tarindex(file.get(), "x.erofs");
  EXPECT_EQ(index.block_size, 512u);
  EXPECT_EQ(index.metadata_size, golden().size());
  EXPECT_LE(index.archive_size, golden_tar().size());
}

TEST(Tarindex, SamplesOfTheGoldenOneStandInItsLayer) {
  const auto tar = golden_tar();
  const UniqueFd file = file_of(golden());
  const auto samples = pick_samples(file.get(), "x.erofs", 3);
  ASSERT_EQ(samples.size(), 3u);
  for (const TarSample& sample : samples) check_sample(sample, Bytes(tar).subspan(sample.header_offset, 512));
  EXPECT_GT(samples.back().header_offset, samples.front().header_offset);
}

TEST(Tarindex, EverySampleOfTheGoldenOneFitsItsLayerAndNoneANeighbourBlock) {
  const auto tar = golden_tar();
  const UniqueFd file = file_of(golden());
  for (const TarSample& sample : pick_samples(file.get(), "x.erofs", 1000)) {
    EXPECT_NO_THROW(check_sample(sample, Bytes(tar).subspan(sample.header_offset, 512))) << sample.name;
    EXPECT_THROW(check_sample(sample, Bytes(tar).subspan(sample.header_offset + 512, 512)), Error) << sample.name;
  }
}

TEST(Tarindex, SaysWhatStandsInTheWrongPlace) {
  const auto tar = golden_tar();
  const UniqueFd file = file_of(golden());
  auto samples = pick_samples(file.get(), "x.erofs", 1000);
  const auto check = [&](TarSample sample) -> std::string {
    try {
      check_sample(sample, Bytes(tar).subspan(samples[0].header_offset, 512));
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  };
  TarSample other = samples[0];
  other.name = "other";
  other.only_name = true;
  EXPECT_THAT(check(other), HasSubstr("does not belong to this layer: file 'other'"));
  other = samples[0];
  other.size += 1;
  EXPECT_THAT(check(other), HasSubstr("bytes stands instead of"));
}

TEST(Tarindex, RefusesWhatIsNotOneInWords) {
  EXPECT_THAT(refusal(""), HasSubstr("x.erofs: is not an EROFS image"));
  EXPECT_THAT(refusal(std::string(4096, '\0')), HasSubstr("is not an EROFS image"));
  EXPECT_THAT(refusal(golden().substr(0, golden().size() - 512)), HasSubstr("truncated"));
  std::string damaged = golden();
  damaged[1024 + 40] ^= 1;
  EXPECT_THAT(refusal(damaged), HasSubstr("checksum"));
}

/// The golden index with its checksum feature off, so that single fields can be altered.
std::string unchecked() {
  std::string text = golden();
  text[1024 + offsetof(erofs::SuperBlock, feature_compat)] &= static_cast<char>(~erofs::kCompatSbChecksum);
  return text;
}

TEST(Tarindex, RefusesAnImageWithoutItsLayerDevice) {
  std::string text = unchecked();
  text[1024 + offsetof(erofs::SuperBlock, extra_devices)] = 0;
  EXPECT_THAT(refusal(text), HasSubstr("is not a tarindex: it has 0 extra devices"));
}

TEST(Tarindex, RefusesBlockSizesThatNobodyMounts) {
  std::string text = unchecked();
  text[1024 + offsetof(erofs::SuperBlock, blkszbits)] = 16;
  EXPECT_THAT(refusal(text), HasSubstr("2^16"));
}

TEST(Tarindex, SurvivesAlteredBytes) {
  const std::string text = unchecked();
  for (size_t at = 1024; at < text.size(); at += 3) {
    std::string altered = text;
    altered[at] = static_cast<char>(~altered[at]);
    refusal(altered);  // throws Error or accepts; anything else would end the test
  }
}

}  // namespace
}  // namespace erofs_oci
