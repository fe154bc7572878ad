// SPDX-License-Identifier: Apache-2.0
#include "handover/request_table.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "handover/fault.h"

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

TEST(RequestTable, SuccessorKnowsWhenAReadArrived) {
  const auto now = std::chrono::steady_clock::now();
  const auto arrival = [&](const RequestTable& table) {
    return successor_of(table).take_over().at(0).second.arrived;
  };
  RequestTable table = RequestTable::create();
  table.add({.id = 2, .range = {0, 1}, .crashes = 2, .arrived = now - std::chrono::hours(30)});
  const auto off = arrival(table) - (now - std::chrono::hours(30));
  EXPECT_LT(std::chrono::abs(off), std::chrono::seconds(2));
  EXPECT_EQ(successor_of(table).take_over().at(0).second.crashes, 2u) << "the same word";
  constexpr uint32_t kTwoCrashes = 2;  // as a predecessor wrote it that noted no arrivals
  ASSERT_EQ(::pwrite(table.fd(), &kTwoCrashes, sizeof kTwoCrashes, 12288 + 4), 4);
  EXPECT_GE(arrival(table), now);
}

uint32_t crashes_after(const RequestTable& table, const std::function<void()>& end) {
  die_by(end);
  return successor_of(table).take_over().front().second.crashes;
}

TEST(RequestTable, FaultsOfTheServerAreCountedAndOtherEndsAreNot) {
  RequestTable table = RequestTable::create();
  const auto slot = *table.add({.id = 2, .range = {0, 1}});
  const auto crashes = [&](const std::function<void()>& end) {
    table.mark_started(slot);
    return crashes_after(table, end);
  };
  EXPECT_EQ(crashes([] { std::abort(); }), 1u);
  EXPECT_EQ(crashes([] { ::raise(SIGKILL); }), 1u) << "somebody killed it";
  EXPECT_EQ(crashes([] { ::raise(SIGTERM); }), 1u);
  EXPECT_EQ(crashes([] {}), 1u) << "it ended in order";
  EXPECT_EQ(crashes([] { ::kill(::getpid(), SIGABRT); }), 2u) << "as the watchdog does";
  EXPECT_EQ(crashes([] { ::raise(SIGSEGV); }), 3u);
}

TEST(RequestTable, AFaultIsNotPutDownToAReadThatWasNotStartedOrWaits) {
  RequestTable table = RequestTable::create();
  const auto slot = *table.add({.id = 2, .range = {0, 1}});
  EXPECT_FALSE(table.mark_waiting(slot, 2)) << "it was not started";
  EXPECT_EQ(crashes_after(table, [] { std::abort(); }), 0u);
  table.mark_started(slot);
  EXPECT_FALSE(table.mark_waiting(slot, 4)) << "another read's slot";
  EXPECT_TRUE(table.mark_waiting(slot, 2));
  EXPECT_EQ(crashes_after(table, [] { std::abort(); }), 0u);
  table.remove(slot);
  EXPECT_FALSE(table.mark_waiting(slot, 2)) << "it was answered";
}

void write_to_nothing() {
  volatile int* volatile nothing = nullptr;
  *nothing = 1;
}

TEST(RequestTable, AFaultEndsTheProcessAsItWouldHave) {
  const RequestTable table = RequestTable::create();
  EXPECT_EQ(WTERMSIG(die_by([] { std::abort(); })), SIGABRT);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // whose handlers report, and exit
  EXPECT_EQ(WTERMSIG(die_by(write_to_nothing)), SIGSEGV);
#else
  EXPECT_NE(die_by(write_to_nothing), 0);
#endif
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
