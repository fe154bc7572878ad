// SPDX-License-Identifier: Apache-2.0
#include "zstd/frame_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zstd.h>

#include <random>
#include <string>

#include "base/error.h"

namespace erofs_oci {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Frames = std::vector<std::pair<uint64_t, uint64_t>>;

std::string text(size_t size) {
  std::string data(size, '\0');
  std::mt19937 random(3);
  for (char& c : data) c = static_cast<char>('a' + random() % 5);
  return data;
}

std::string frame(const std::string& data, int window_log = 0, bool checksum = false) {
  ZSTD_CCtx* const context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, checksum);
  if (window_log != 0) {
    ZSTD_CCtx_setParameter(context, ZSTD_c_enableLongDistanceMatching, 1);
    ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, window_log);
    ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
  }
  std::string out(ZSTD_compressBound(data.size()), '\0');
  ZSTD_outBuffer to{out.data(), out.size(), 0};
  ZSTD_inBuffer from{data.data(), data.size(), 0};
  ZSTD_inBuffer nothing{nullptr, 0, 0};
  ZSTD_compressStream2(context, &to, &from, ZSTD_e_continue);  // so that the size is not known before
  EXPECT_EQ(ZSTD_compressStream2(context, &to, &nothing, ZSTD_e_end), 0u);
  ZSTD_freeCCtx(context);
  out.resize(to.pos);
  return out;
}

std::string skippable(size_t size) {
  std::string out("\x53\x2a\x4d\x18", 4);
  std::string length(4, '\0');
  store_le<uint32_t>(length.data(), static_cast<uint32_t>(size));
  return out + length + std::string(size, '\xfd');
}

class Recorder : public ZstdFrameReader::Sink {
 public:
  void output(Bytes bytes) override { out += as_text(bytes); }
  void begin_frame(uint64_t in, uint64_t at) override {
    EXPECT_EQ(at, out.size());
    frames.emplace_back(in, at);
  }
  std::string out;
  Frames frames;
};

Recorder read(const std::string& file, size_t piece = SIZE_MAX) {
  Recorder recorder;
  ZstdFrameReader reader(recorder);
  for (size_t at = 0; at < file.size(); at += std::min(piece, file.size() - at))
    reader.feed(as_bytes(std::string_view(file).substr(at, piece)));
  reader.finish();
  return recorder;
}

std::string refusal(const std::string& file, size_t piece = SIZE_MAX) {
  try {
    read(file, piece);
  } catch (const Error& error) {
    return fmt::format("{}: {}", to_string(error.kind()), error.what());
  }
  return "none";
}

TEST(ZstdFrameReader, TellsOutputAndFramesWhateverThePieces) {
  const std::string data = text(300'000);
  const std::string first = frame(data);
  const std::string file =
      skippable(0) + first + skippable(1000) + frame("") + frame(data, 0, true) + skippable(7);
  const Recorder whole = read(file);
  EXPECT_TRUE(whole.out == data + data);
  const uint64_t third = 8 + first.size() + 1008;
  EXPECT_THAT(whole.frames,
              ElementsAre(std::pair(0u, 0u), std::pair(8u, 0u), std::pair(8 + first.size(), data.size()),
                          std::pair(third, data.size()), std::pair(third + frame("").size(), data.size()),
                          std::pair(file.size() - 15, 2 * data.size())));
  for (const size_t piece : {1, 2, 3, 7, 100, 4096, 131'071}) {
    const Recorder pieces = read(file, piece);
    EXPECT_TRUE(pieces.out == whole.out) << piece;
    EXPECT_EQ(pieces.frames, whole.frames) << piece;
  }
}

TEST(ZstdFrameReader, EntersEachFrame) {
  std::string file;
  for (size_t i = 0; i < 20; ++i) file += frame(text(i * 1000));
  const Recorder whole = read(file);
  ASSERT_EQ(whole.frames.size(), 20u);
  for (const auto& [in, out] : whole.frames) EXPECT_TRUE(read(file.substr(in)).out == whole.out.substr(out));
}

TEST(ZstdFrameReader, TakesFramesOfOnlyZerosThatBecomeMuchMore) {
  const std::string zeros(20 << 20, '\0');
  EXPECT_TRUE(read(frame(zeros), 100).out == zeros);
}

TEST(ZstdFrameReader, RefusesAnEndInsideAFrame) {
  const std::string file = frame(text(200'000)) + frame(text(100));
  for (const size_t size : {size_t{0}, size_t{1}, size_t{4}, size_t{1000}, file.size() - 1})
    EXPECT_THAT(refusal(file.substr(0, size), 999), HasSubstr("corrupt: zstd data ends after")) << size;
  EXPECT_THAT(refusal(skippable(100).substr(0, 50)), HasSubstr("cut short"));
}

TEST(ZstdFrameReader, RefusesWhatFollowsAFrameAndIsNone) {
  EXPECT_THAT(refusal(frame("x") + std::string(100, '\0')),
              HasSubstr("corrupt: zstd data cannot be decompressed at"));
  EXPECT_THAT(refusal("this is no zstd"), HasSubstr("corrupt: "));
}

TEST(ZstdFrameReader, RefusesAWrongChecksum) {
  std::string file = frame(text(1000), 0, true);
  file.back() = static_cast<char>(~file.back());
  EXPECT_THAT(refusal(file), HasSubstr("checksum"));
}

TEST(ZstdFrameReader, BoundsTheWindow) {
  const std::string data = text(1000);
  EXPECT_EQ(refusal(frame(data, ZstdFrameReader::kMaxWindowLog)), "none");
  EXPECT_THAT(refusal(frame(data, ZstdFrameReader::kMaxWindowLog + 1)), HasSubstr("unsupported: "));
}

}  // namespace
}  // namespace erofs_oci
