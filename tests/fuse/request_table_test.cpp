// SPDX-License-Identifier: Apache-2.0
#include "fuse/request_table.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"

namespace erofs_oci::fuse {
namespace {

/// The table as the next process finds it.
RequestTable successor_of(const RequestTable& table) {
  return RequestTable::adopt(UniqueFd(::fcntl(table.fd(), F_DUPFD_CLOEXEC, 0)));
}

TEST(RequestTable, SuccessorFindsWhatWasAddedAndNotRemoved) {
  RequestTable table = RequestTable::create();
  table.add({.unique = 2, .range = {0, 4096}});
  const auto answered = table.add({.unique = 4, .range = {4096, 4096}});
  table.add({.unique = 6, .range = {8192, 1}});
  table.remove(*answered);
  const auto pending = successor_of(table).take_over();
  ASSERT_EQ(pending.size(), 2u);
  EXPECT_EQ(pending[0].second.unique, 2u);
  EXPECT_EQ(pending[1].second.unique, 6u);
  EXPECT_EQ(pending[1].second.range, (ByteRange{8192, 1}));
}

TEST(RequestTable, CrashesAreCountedAndOrderlyEndsAreNot) {
  RequestTable table = RequestTable::create();
  table.add({.unique = 2, .range = {0, 1}});
  EXPECT_EQ(successor_of(table).take_over().front().second.crashes, 1u);
  EXPECT_EQ(successor_of(table).take_over().front().second.crashes, 2u);
  table.mark_orderly();
  EXPECT_EQ(successor_of(table).take_over().front().second.crashes, 2u);
  EXPECT_EQ(successor_of(table).take_over().front().second.crashes, 3u);
}

TEST(RequestTable, FullTableTakesNoMoreUntilASlotIsFree) {
  RequestTable table = RequestTable::create();
  for (uint64_t i = 1; i <= RequestTable::kSlots; ++i) ASSERT_TRUE(table.add({.unique = i, .range = {0, 1}}));
  EXPECT_FALSE(table.add({.unique = 5000, .range = {0, 1}}));
  table.remove(17);
  EXPECT_EQ(table.add({.unique = 5000, .range = {0, 1}}), 17u);
}

TEST(RequestTable, ReceiveBufferHoldsARequestUntilItIsHandled) {
  RequestTable table = RequestTable::create();
  EXPECT_TRUE(table.unhandled().empty());
  store_le<uint32_t>(table.receive_buffer().data(), 40);
  EXPECT_FALSE(successor_of(table).unhandled().empty());
  table.mark_handled();
  EXPECT_TRUE(successor_of(table).unhandled().empty());
}

TEST(RequestTable, AnythingElseInItsPlaceIsCorrupt) {
  UniqueFd empty(::memfd_create("test", MFD_CLOEXEC));
  EXPECT_THROW(RequestTable::adopt(std::move(empty)), Error);
  UniqueFd zeros(::memfd_create("test", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(zeros.get(), 4096 + 8192 + 32768), 0);
  EXPECT_THROW(RequestTable::adopt(std::move(zeros)), Error);
}

}  // namespace
}  // namespace erofs_oci::fuse
