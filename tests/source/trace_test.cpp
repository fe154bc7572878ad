// SPDX-License-Identifier: Apache-2.0
#include "source/trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace erofs_oci {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Entry = Trace::Entry;

Access read(seconds at, SpanPlace place, AccessKind kind = AccessKind::fetched) {
  return {at, std::chrono::microseconds(1), place, kind};
}

TEST(NextTrace, IsWhatReadersAskedForFirstInTheirOrder) {
  const std::vector<Access> accesses{read(seconds(0), {1, 5}),
                                     read(seconds(1), {0, 9}, AccessKind::memory),
                                     read(seconds(1), {0, 10}, AccessKind::read_ahead),
                                     read(seconds(2), {1, 5}, AccessKind::disk),
                                     read(seconds(3), {0, 3}, AccessKind::disk),
                                     read(seconds(3), {0, 4}, AccessKind::prefetch),
                                     read(seconds(9), {0, 1})};
  EXPECT_THAT(next_trace({}, accesses, seconds(5)).entries,
              ElementsAre(Entry{{1, 5}, 0}, Entry{{0, 9}, 0}, Entry{{0, 3}, 0}));
}

TEST(NextTrace, ForgetsWhatStartsNoLongerRead) {
  Trace trace = next_trace({}, {read(seconds(0), {0, 1}), read(seconds(0), {0, 2})}, seconds(5));
  trace = next_trace(trace, {read(seconds(0), {0, 2})}, seconds(5));
  EXPECT_THAT(trace.entries, ElementsAre(Entry{{0, 2}, 0}, Entry{{0, 1}, 1}));
  trace = next_trace(trace, {read(seconds(0), {0, 3})}, seconds(5));
  EXPECT_THAT(trace.entries, ElementsAre(Entry{{0, 3}, 0}, Entry{{0, 2}, 1}, Entry{{0, 1}, 2}));
  trace = next_trace(trace, {read(seconds(0), {0, 3})}, seconds(5));
  EXPECT_THAT(trace.entries, ElementsAre(Entry{{0, 3}, 0}, Entry{{0, 2}, 2}));
  trace = next_trace(trace, {read(seconds(0), {0, 2})}, seconds(5));
  EXPECT_THAT(trace.entries, ElementsAre(Entry{{0, 2}, 0}, Entry{{0, 3}, 1}));
}

TEST(NextTrace, IsBounded) {
  std::vector<Access> accesses;
  for (uint32_t span = 0; span < Trace::kMaxSpans + 10; ++span)
    accesses.push_back(read(seconds(0), {0, span}));
  EXPECT_THAT(next_trace({}, accesses, seconds(5)).entries, SizeIs(Trace::kMaxSpans));
}

TEST(TraceFile, IsReadAsItWasWritten) {
  const Trace trace{sha256(as_bytes("device")), {{{3, 1u << 30}, 0}, {{65535, 0}, 2}}};
  const Trace again = decode_trace(encode_trace(trace));
  EXPECT_EQ(again.device, trace.device);
  EXPECT_EQ(again.entries, trace.entries);
  EXPECT_THAT(decode_trace(encode_trace({})).entries, IsEmpty());
}

TEST(TraceFile, RefusesEveryFlippedBitAndEveryLength) {
  const std::string file = encode_trace({sha256(as_bytes("device")), {{{0, 1}, 0}, {{1, 2}, 1}}});
  for (size_t at = 0; at < file.size(); ++at) {
    std::string damaged = file;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    EXPECT_THROW(decode_trace(damaged), Error) << "byte " << at;
    EXPECT_THROW(decode_trace(file.substr(0, at)), Error) << "length " << at;
  }
  EXPECT_THROW(decode_trace(file + "x"), Error);
}

}  // namespace
}  // namespace erofs_oci
