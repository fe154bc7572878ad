// SPDX-License-Identifier: Apache-2.0
#include "gzip/checkpoint_inflater.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <random>

#include "base/error.h"
#include "base/file.h"
#include "gzip/gzip_testing.h"
#include "gzip/span_inflater.h"

namespace erofs_oci {
namespace {

using testing::gunzip_with_zlib;
using testing::gzip;

constexpr uint64_t kZinfoSpan = 4 * kMiB;  // of the golden files
const std::string kData = TEST_DATA_DIR;

std::vector<std::byte> contents(const std::string& name) {
  const std::string text = read_text_file(kData + "/" + name, 64 * kMiB);
  return {as_bytes(text).begin(), as_bytes(text).end()};
}

class Recorder : public CheckpointInflater::Sink {
 public:
  void output(Bytes bytes) override { out.insert(out.end(), bytes.begin(), bytes.end()); }
  void begin_span(const Checkpoint& checkpoint) override {
    EXPECT_EQ(checkpoint.out, out.size());
    begun.push_back(checkpoint);
  }
  void span_start(SpanStart start) override {
    starts.push_back(std::move(start));
    EXPECT_EQ(starts.size(), begun.size());
  }

  std::vector<std::byte> out;
  std::vector<Checkpoint> begun;
  std::vector<SpanStart> starts;
};

Recorder run(Bytes blob, uint64_t span_size, size_t piece = SIZE_MAX) {
  Recorder recorder;
  CheckpointInflater inflater(span_size, recorder);
  for (size_t at = 0; at < blob.size(); at += std::min(piece, blob.size() - at))
    inflater.feed(blob.subspan(at, std::min(piece, blob.size() - at)));
  inflater.finish();
  return recorder;
}

/// The file as it would stand in a zinfo of version 2.
std::vector<std::byte> as_zinfo(const Recorder& recorder, uint64_t span_size) {
  std::vector<std::byte> file(12 + recorder.starts.size() * (17 + kWindowSize));
  store_le<uint32_t>(file.data(), static_cast<uint32_t>(recorder.starts.size()));
  store_le<uint64_t>(file.data() + 4, span_size);
  std::byte* at = file.data() + 12;
  for (const SpanStart& start : recorder.starts) {
    store_le<uint64_t>(at, start.checkpoint.in);
    store_le<uint64_t>(at + 8, start.checkpoint.out);
    at[16] = std::byte{start.checkpoint.bits};
    std::copy(start.window.begin(), start.window.end(), at + 17);
    at += 17 + kWindowSize;
  }
  return file;
}

/// Each span, entered alone with its window, gives the stream's bytes.
void expect_spans_to_be_right(const Recorder& recorder, Bytes blob) {
  SpanInflater inflater;
  for (size_t i = 0; i < recorder.starts.size(); ++i) {
    const SpanStart& start = recorder.starts[i];
    const uint64_t end =
        i + 1 < recorder.starts.size() ? recorder.starts[i + 1].checkpoint.out : recorder.out.size();
    std::vector<std::byte> out(end - start.checkpoint.out);
    inflater.start(start.checkpoint, start.window,
                   blob.subspan(start.checkpoint.in - (start.checkpoint.bits != 0)));
    ASSERT_EQ(inflater.read(out), out.size());
    ASSERT_TRUE(std::equal(out.begin(), out.end(),
                           recorder.out.begin() + static_cast<ptrdiff_t>(start.checkpoint.out)))
        << "span " << i;
  }
}

std::vector<std::byte> text_like(size_t size) {
  std::vector<std::byte> data(size);
  std::mt19937 random(7);
  for (size_t i = 0; i < size; ++i) {
    data[i] = i > 40'000 && random() % 8 != 0 ? data[i - 1 - random() % 30'000]
                                              : static_cast<std::byte>(random() % 97);
  }
  return data;
}

TEST(CheckpointInflater, FindsTheCheckpointsOfErofsUtils) {
  const auto blob = contents("layer.tar.gz");
  const Recorder recorder = run(blob, kZinfoSpan);
  EXPECT_EQ(recorder.out, gunzip_with_zlib(blob));
  EXPECT_EQ(as_zinfo(recorder, kZinfoSpan), contents("layer.zinfo"));
}

class Pieces : public ::testing::TestWithParam<size_t> {};

TEST_P(Pieces, GiveTheSameSpansAsTheWhole) {
  for (const char* name : {"layer.tar.gz", "members.tar.gz"}) {
    const auto blob = contents(name);
    const Recorder whole = run(blob, 64 * kKiB);
    const Recorder pieces = run(blob, 64 * kKiB, GetParam());
    EXPECT_EQ(pieces.out, whole.out);
    EXPECT_EQ(as_zinfo(pieces, 0), as_zinfo(whole, 0));
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, Pieces, ::testing::Values(1, 2, 7, 100, 4096, 65537));

TEST(CheckpointInflater, EntersEachSpanOfSeveralMembers) {
  const auto blob = contents("members.tar.gz");
  const Recorder recorder = run(blob, 256 * kKiB);
  EXPECT_EQ(recorder.out, gunzip_with_zlib(blob));
  expect_spans_to_be_right(recorder, blob);
}

TEST(CheckpointInflater, SpansNeedOnlyTheBytesOfTheWindowThatTheyReferTo) {
  const auto blob = gzip(text_like(6 * kMiB));
  Recorder recorder = run(blob, 128 * kKiB);
  ASSERT_GT(recorder.starts.size(), 20u);
  size_t zeroed = 0;
  for (SpanStart& start : recorder.starts) {
    if (start.checkpoint.out == 0) continue;
    zero_unreferenced(start);
    zeroed += static_cast<size_t>(std::ranges::count(start.window, std::byte{0}));
  }
  EXPECT_GT(zeroed, recorder.starts.size() * kWindowSize / 10);
  EXPECT_LT(zeroed, (recorder.starts.size() - 1) * kWindowSize);
  expect_spans_to_be_right(recorder, blob);
}

TEST(CheckpointInflater, TakesStoredBlocksEmptyMembersAndPadding) {
  auto blob = gzip({});
  std::vector<std::byte> noise(3 * kMiB);
  std::mt19937 random(1);
  for (std::byte& byte : noise) byte = static_cast<std::byte>(random());
  for (const auto& member : {gzip(noise, "a name"), gzip({}), gzip(text_like(100'000))})
    blob.insert(blob.end(), member.begin(), member.end());
  blob.resize(blob.size() + 1000);
  const Recorder recorder = run(blob, 256 * kKiB, 1000);
  EXPECT_EQ(recorder.out, gunzip_with_zlib(blob));
  expect_spans_to_be_right(recorder, blob);
}

/// A span's first output may go over several members, whose trailers and headers belong to what it inflates
/// from.
TEST(CheckpointInflater, SpanStartsGoOverTheEndsOfMembers) {
  const auto text = text_like(200'000);
  for (const size_t size : {100, 999, 20'000}) {
    std::vector<std::byte> blob;
    for (size_t at = 0; at < text.size(); at += size) {
      const auto member = gzip(Bytes(text).subspan(at, std::min(size, text.size() - at)), "name");
      blob.insert(blob.end(), member.begin(), member.end());
    }
    for (const size_t piece : {size_t{1}, SIZE_MAX}) {
      Recorder recorder = run(blob, 64 * kKiB, piece);
      EXPECT_EQ(recorder.out, text);
      for (SpanStart& start : recorder.starts) {
        SpanInflater inflater;
        std::vector<std::byte> out(start.output.size());
        inflater.start(start.checkpoint, start.window, start.compressed);
        const size_t length = inflater.read(out);
        ASSERT_GE(length + 2, out.size());  // ISA-L takes up to three literals together, or none of them
        EXPECT_TRUE(
            std::equal(out.begin(), out.begin() + static_cast<ptrdiff_t>(length), start.output.begin()));
        zero_unreferenced(start);
      }
      expect_spans_to_be_right(recorder, blob);
    }
  }
}

TEST(CheckpointInflater, TakesAllFieldsOfAHeader) {
  std::vector<std::byte> blob;
  const auto add = [&](std::string_view bytes) {
    blob.insert(blob.end(), as_bytes(bytes).begin(), as_bytes(bytes).end());
  };
  const auto member = gzip(as_bytes("text"));
  using namespace std::string_view_literals;
  for (int flags = 0; flags < 32; flags += 2) {  // FTEXT, the lowest, means nothing
    add("\x1f\x8b\x08"sv);
    blob.push_back(static_cast<std::byte>(flags));
    add("\0\0\0\0\0\xff"sv);
    if (flags & 4) add("\x05\0x\0y\0z"sv);
    if (flags & 8) add("name\0"sv);
    if (flags & 16) add("a comment\0"sv);
    if (flags & 2) add("hc"sv);
    blob.insert(blob.end(), member.begin() + 10, member.end());
  }
  for (const size_t piece : {size_t{1}, size_t{5}, SIZE_MAX})
    EXPECT_EQ(run(blob, kMiB, piece).out.size(), 16 * 4u);
}

/// Looking through the name again for each of its bytes took seconds a member.
TEST(CheckpointInflater, LongNamesCostNoMoreThanTheirLength) {
  const std::string name(120'000, 'n');
  std::vector<std::byte> blob;
  for (int i = 0; i < 20; ++i) {
    const auto member = gzip(as_bytes("text"), name.c_str());
    blob.insert(blob.end(), member.begin(), member.end());
  }
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(run(blob, kMiB).out.size(), 80u);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
}

/// Who enters a span there takes the zeros for the end of the file.
TEST(CheckpointInflater, RefusesAMemberBehindPadding) {
  auto blob = gzip(as_bytes("first"));
  const auto second = gzip(as_bytes("second"));
  for (const size_t zeros : {1, 20}) {
    auto padded = blob;
    padded.resize(padded.size() + zeros);
    padded.insert(padded.end(), second.begin(), second.end());
    EXPECT_THROW(run(padded, kMiB), Error) << zeros;
  }
}

TEST(CheckpointInflater, RefusesWhatIsDamaged) {
  const auto good = gzip(text_like(300'000));
  struct Case {
    const char* what;
    std::function<void(std::vector<std::byte>&)> damage;
  };
  const Case cases[] = {
      {"cut", [](auto& blob) { blob.resize(blob.size() / 2); }},
      {"cut trailer", [](auto& blob) { blob.pop_back(); }},
      {"cut header", [](auto& blob) { blob.resize(5); }},
      {"empty", [](auto& blob) { blob.clear(); }},
      {"crc", [](auto& blob) { blob[blob.size() - 8] ^= std::byte{1}; }},
      {"length", [](auto& blob) { blob[blob.size() - 1] ^= std::byte{1}; }},
      {"data", [](auto& blob) { blob[blob.size() / 2] ^= std::byte{64}; }},
      {"garbage behind", [](auto& blob) { blob.resize(blob.size() + 20, std::byte{'x'}); }},
      {"not gzip", [](auto& blob) { blob[0] = std::byte{0}; }},
  };
  for (const Case& c : cases) {
    auto blob = good;
    c.damage(blob);
    EXPECT_THROW(run(blob, kMiB), Error) << c.what;
  }
}

}  // namespace
}  // namespace erofs_oci
