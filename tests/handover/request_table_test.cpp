// SPDX-License-Identifier: Apache-2.0
#include "handover/request_table.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"

namespace erofs_oci {
namespace {

/// The table as the next process finds it.
RequestTable successor_of(const RequestTable& table) {
  return RequestTable::adopt(UniqueFd(::fcntl(table.fd(), F_DUPFD_CLOEXEC, 0)));
}

TEST(RequestTable, SuccessorFindsWhatWasAddedAndNotRemoved) {
  RequestTable table = RequestTable::create();
  table.add({.id = 2, .range = {0, 4096}});
  const auto answered = table.add({.id = 4, .range = {4096, 4096}});
  table.add({.id = 6, .range = {8192, 1}});
  table.remove(*answered);
  const auto pending = successor_of(table).take_over();
  ASSERT_EQ(pending.size(), 2u);
  EXPECT_EQ(pending[0].second.id, 2u);
  EXPECT_EQ(pending[1].second.id, 6u);
  EXPECT_EQ(pending[1].second.range, (ByteRange{8192, 1}));
}

TEST(RequestTable, CrashesAreCountedAndOrderlyEndsAreNot) {
  RequestTable table = RequestTable::create();
  const auto slot = *table.add({.id = 2, .range = {0, 1}});
  for (const uint32_t crashes : {1u, 2u}) {
    table.mark_started(slot);
    EXPECT_EQ(successor_of(table).take_over().front().second.crashes, crashes);
  }
  table.mark_started(slot);
  table.mark_orderly();
  EXPECT_EQ(successor_of(table).take_over().front().second.crashes, 2u);
}

TEST(RequestTable, ACrashIsNotPutDownToAReadThatWasNotStarted) {
  RequestTable table = RequestTable::create();
  table.add({.id = 2, .range = {0, 1}});
  EXPECT_EQ(successor_of(table).take_over().front().second.crashes, 0u);
}

TEST(RequestTable, AnnouncedReadsCountUnlessTheyAreStillToCome) {
  RequestTable table = RequestTable::create();
  table.announce({.id = 2, .range = {0, 1}});
  table.announce({.id = 4, .range = {0, 1}});
  const auto pending = successor_of(table).take_over([](uint64_t id) { return id == 4; });
  ASSERT_EQ(pending.size(), 1u);
  EXPECT_EQ(pending[0].second.id, 2u);
  EXPECT_EQ(successor_of(table).take_over().size(), 1u) << "the other slot is free";
}

TEST(RequestTable, RepliesOnTheirWayAreNotOwedUntilTheyAreUnmarked) {
  RequestTable table = RequestTable::create();
  const auto slot = *table.add({.id = 2, .range = {0, 1}});
  table.set_phase(ReplyPhase::splicing);
  table.mark_replying(slot);
  RequestTable successor = successor_of(table);
  EXPECT_EQ(successor.phase(), ReplyPhase::splicing);
  EXPECT_EQ(successor.replying(), std::vector{slot});
  EXPECT_TRUE(successor.take_over().empty());
  successor.unmark_replying();
  EXPECT_EQ(successor.take_over().size(), 1u);
}

TEST(RequestTable, ReadsAreSuspectAfterTwoCrashesAndGuiltyAfterThree) {
  EXPECT_EQ(blame({.crashes = 1}), Blame::none);
  EXPECT_EQ(blame({.crashes = 2}), Blame::suspect);
  EXPECT_EQ(blame({.crashes = 3}), Blame::guilty);
}

TEST(RequestTable, FullTableTakesNoMoreUntilASlotIsFree) {
  RequestTable table = RequestTable::create();
  for (uint64_t i = 1; i <= RequestTable::kSlots; ++i) ASSERT_TRUE(table.add({.id = i, .range = {0, 1}}));
  EXPECT_FALSE(table.add({.id = 5000, .range = {0, 1}}));
  table.remove(17);
  EXPECT_EQ(table.add({.id = 5000, .range = {0, 1}}), 17u);
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
}  // namespace erofs_oci
