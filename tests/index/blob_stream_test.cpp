// SPDX-License-Identifier: Apache-2.0
#include "index/blob_stream.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/error.h"
#include "source/fake_blob.h"

namespace erofs_oci {
namespace {

using testing::FakeBlob;
using testing::pattern;

std::vector<std::byte> read_all(BlobStream& stream) {
  std::vector<std::byte> all;
  for (Bytes piece = stream.next(); !piece.empty(); piece = stream.next())
    all.insert(all.end(), piece.begin(), piece.end());
  return all;
}

/// Lets the reads of `blob` be held until a while later.
std::jthread release_later(FakeBlob& blob) {
  blob.held = true;
  return std::jthread([&blob] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    blob.release();
  });
}

TEST(BlobStream, GivesTheWholeBlobOnce) {
  for (const uint64_t size : {uint64_t{0}, uint64_t{1}, BlobStream::kPieceSize, BlobStream::kPieceSize + 1,
                              BlobStream::kPieces * BlobStream::kPieceSize, 5 * BlobStream::kPieceSize - 1}) {
    FakeBlob blob(pattern(size));
    BlobStream stream(blob);
    EXPECT_TRUE(read_all(stream) == pattern(size)) << size;
    EXPECT_TRUE(stream.next().empty());
    EXPECT_EQ(blob.bytes, size);
  }
}

TEST(BlobStream, AnswersMayComeInAnyOrder) {
  FakeBlob blob(pattern(BlobStream::kPieces * BlobStream::kPieceSize));
  const auto releasing = release_later(blob);  // last first
  BlobStream stream(blob);
  EXPECT_TRUE(read_all(stream) == pattern(BlobStream::kPieces * BlobStream::kPieceSize));
}

TEST(BlobStream, ReadsAhead) {
  FakeBlob blob(pattern(8 * BlobStream::kPieceSize));
  BlobStream stream(blob);
  EXPECT_EQ(blob.reads, 3);
  stream.next();
  EXPECT_EQ(blob.reads, 3);  // the piece is the caller's until the next one
  stream.next();
  EXPECT_EQ(blob.reads, 4);
}

TEST(BlobStream, ThrowsTheErrorOfThePieceThatFails) {
  FakeBlob blob(pattern(6 * BlobStream::kPieceSize));
  BlobStream stream(blob);
  for (int i = 0; i < 2; ++i) EXPECT_FALSE(stream.next().empty());
  blob.failures = 1;  // of the fifth, the next that is asked for
  EXPECT_FALSE(stream.next().empty());
  EXPECT_FALSE(stream.next().empty());
  try {
    stream.next();
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::unavailable);
    EXPECT_STREQ(error.what(), "the fake is away");
  }
}

TEST(BlobStream, WaitsAtItsEndForWhatIsUnderWay) {
  FakeBlob blob(pattern(3 * BlobStream::kPieceSize));
  const auto releasing = release_later(blob);
  { BlobStream stream(blob); }
  EXPECT_FALSE(blob.held);
}

}  // namespace
}  // namespace erofs_oci
