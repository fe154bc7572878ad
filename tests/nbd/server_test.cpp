// SPDX-License-Identifier: Apache-2.0
#include "nbd/server.h"

#include <gtest/gtest.h>

#include <csignal>
#include <random>
#include <thread>

#include "fuse/memory_device.h"
#include "handover/fault.h"
#include "nbd/connection.h"

namespace erofs_oci::nbd {
namespace {

std::string noise(size_t size) {
  std::mt19937_64 random(1);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

/// A server on a thread, and the test as the kernel.
class NbdServerTest : public testing::Test {
 protected:
  NbdServerTest() { ::signal(SIGPIPE, SIG_IGN); }
  ~NbdServerTest() override { stop(); }

  void start() {
    server_.emplace(copy_of(*connection_.server), device_, [this](ByteRange range) { given_up_ = range; });
    thread_ = std::thread([this] { end_ = server_->run(); });
  }
  void stop() {
    if (server_) server_->stop();
    if (thread_.joinable()) thread_.join();
  }
  Server::End wait_for_end() {
    thread_.join();
    return end_;
  }
  RequestTable& table() { return connection_.server->table; }
  void expect_answer(uint64_t cookie, ByteRange range) const {
    const auto header = connection_.receive_header();
    EXPECT_EQ(header.cookie, cookie);
    ASSERT_EQ(header.error, 0u);
    EXPECT_EQ(connection_.receive(range.length), content_.substr(range.offset, range.length));
  }

  const std::string content_ = noise(4 * kMiB);
  std::shared_ptr<MemoryDevice> device_ = std::make_shared<MemoryDevice>(content_);
  TestConnection connection_;
  std::optional<Server> server_;
  Server::End end_{};
  ByteRange given_up_;
  std::thread thread_;
};

TEST_F(NbdServerTest, AnswersAReadWithItsBytes) {
  start();
  connection_.ask(7, {1000, 70'000});
  expect_answer(7, {1000, 70'000});
}

TEST_F(NbdServerTest, AnswersManyAtOnceInAnyOrder) {
  device_->hold();
  start();
  for (uint64_t i = 0; i < 128; ++i) connection_.ask(i, {i * 512, 512});
  device_->wait_for_held(128);
  device_->let_go();
  for (uint64_t i = 128; i-- > 0;) expect_answer(i, {i * 512, 512});
}

TEST_F(NbdServerTest, AReplyOfManyPiecesIsOne) {
  device_->slice_bytes = 512;
  start();
  connection_.ask(1, {0, 900 * kKiB});
  expect_answer(1, {0, 900 * kKiB});
}

TEST_F(NbdServerTest, AReplyThatNoPipeTakesGoesStraightToTheSocket) {
  device_->slice_bytes = 1000;
  start();
  connection_.ask(1, {5, 3 * kMiB});
  connection_.ask(2, {0, 512});
  expect_answer(1, {5, 3 * kMiB});
  expect_answer(2, {0, 512});
}

TEST_F(NbdServerTest, FailuresAreErrorRepliesAndTheStreamGoesOn) {
  start();
  device_->errno_value = EACCES;
  connection_.ask(1, {0, 512});
  EXPECT_EQ(connection_.receive_header().error, static_cast<uint32_t>(EPERM));
  device_->errno_value = 0;
  device_->missing_bytes = 1;
  connection_.ask(2, {0, 512});
  EXPECT_EQ(connection_.receive_header().error, static_cast<uint32_t>(EIO)) << "too few bytes are no answer";
  device_->missing_bytes = 0;
  connection_.ask(3, {content_.size(), 512});
  EXPECT_EQ(connection_.receive_header().error, static_cast<uint32_t>(EINVAL));
  connection_.ask(4, {0, 512}, Command::flush);
  EXPECT_EQ(connection_.receive_header().error, static_cast<uint32_t>(EINVAL));
  connection_.ask(5, {0, 512});
  expect_answer(5, {0, 512});
}

TEST_F(NbdServerTest, EndsWithItsPeerAndTellsIt) {
  start();
  connection_.ask(1, {}, Command::disconnect);
  EXPECT_EQ(wait_for_end(), Server::End::disconnected);
  EXPECT_TRUE(connection_.is_closed());
}

TEST_F(NbdServerTest, AnExceptionEndsItAndTellsThePeer) {
  class Throwing : public MemoryDevice {
   public:
    using MemoryDevice::MemoryDevice;
    void read_or_wait(ByteRange, ReadArrival, ReadDone, ReadWaits) override {
      throw Error(ErrorKind::system, "no more");
    }
  };
  Server server(copy_of(*connection_.server), std::make_shared<Throwing>(content_), [](ByteRange) {});
  connection_.ask(1, {0, 512});
  EXPECT_THROW(server.run(), Error);
  EXPECT_TRUE(connection_.is_closed()) << "though connection_ has a copy of the socket";
}

TEST_F(NbdServerTest, WhatIsNoRequestEndsIt) {
  start();
  ASSERT_EQ(::send(connection_.kernel.get(), content_.data(), 28, 0), 28);
  EXPECT_EQ(wait_for_end(), Server::End::protocol_error);
  EXPECT_TRUE(connection_.is_closed());
}

TEST_F(NbdServerTest, ASuccessorAnswersWhatAStoppedServerDidNot) {
  device_->hold();
  start();
  connection_.ask(1, {0, 4096});
  device_->wait_for_held(1);
  stop();
  EXPECT_EQ(end_, Server::End::stopped);
  device_->let_go();  // nobody may see this
  connection_.ask(2, {4096, 4096});
  start();
  expect_answer(1, {0, 4096});
  expect_answer(2, {4096, 4096});
}

TEST_F(NbdServerTest, AReadThatIsTakenOverKeepsItsTimeOfArrival) {
  table().add(
      {.id = 1, .range = {0, 512}, .arrived = std::chrono::steady_clock::now() - std::chrono::hours(1)});
  start();
  expect_answer(1, {0, 512});
  EXPECT_LT(device_->last_arrival(), std::chrono::steady_clock::now() - std::chrono::minutes(59));
}

TEST_F(NbdServerTest, AStoppedServerDropsWhatFailsBecauseOfTheEnd) {
  device_->hold();
  start();
  connection_.ask(1, {0, 4096});
  device_->wait_for_held(1);
  server_->stop();
  device_->errno_value = ECANCELED;
  device_->let_go();
  stop();
  device_->errno_value = 0;
  start();
  expect_answer(1, {0, 4096});
}

TEST_F(NbdServerTest, AnAnnouncedRequestIsAnsweredOnceWhereverItIs) {
  table().announce({.id = 1, .range = {0, 512}});  // killed before it left the socket
  connection_.ask(1, {0, 512});
  table().announce({.id = 2, .range = {512, 512}});  // killed after it had
  start();
  expect_answer(2, {512, 512});
  expect_answer(1, {0, 512});
  connection_.ask(3, {0, 512});
  expect_answer(3, {0, 512});
}

TEST_F(NbdServerTest, AReplyThatWasNotAllInThePipeIsMadeAgain) {
  const auto slot = *table().add({.id = 1, .range = {0, 4096}});
  table().set_phase(ReplyPhase::piping);
  table().mark_replying(slot);
  ASSERT_EQ(::write(connection_.server->pipe.write_fd(), content_.data(), 100), 100);
  start();
  expect_answer(1, {0, 4096});
}

TEST_F(NbdServerTest, AReplyThatWasHalfSentIsFinished) {
  const auto slot = *table().add({.id = 1, .range = {0, 4096}});
  table().set_phase(ReplyPhase::splicing);
  table().mark_replying(slot);
  const auto header = simple_reply(1, 0);
  ASSERT_EQ(::send(connection_.server->socket.get(), header.data(), header.size(), 0),
            static_cast<ssize_t>(header.size()));
  ASSERT_EQ(::write(connection_.server->pipe.write_fd(), content_.data(), 4096), 4096);
  connection_.ask(2, {0, 512});
  start();
  expect_answer(1, {0, 4096});
  expect_answer(2, {0, 512});
  EXPECT_EQ(device_->reads(), 1u);
}

TEST_F(NbdServerTest, AReplyThatWasSentAndNotTakenOffTheTableIsNotSentAgain) {
  const auto slot = *table().add({.id = 1, .range = {0, 4096}});
  table().set_phase(ReplyPhase::splicing);
  table().mark_replying(slot);
  connection_.ask(2, {0, 512});
  start();
  expect_answer(2, {0, 512});
  EXPECT_EQ(device_->reads(), 1u);
}

TEST_F(NbdServerTest, KnowsWhenNobodyCanGoOn) {
  EXPECT_EQ(why_lost(copy_of(*connection_.server)), "");
  table().set_phase(ReplyPhase::sending);
  EXPECT_NE(why_lost(copy_of(*connection_.server)), "");
  table().set_phase(ReplyPhase::none);
  ASSERT_EQ(::write(connection_.server->pipe.write_fd(), "x", 1), 1);
  EXPECT_NE(why_lost(copy_of(*connection_.server)), "");
  table().set_phase(ReplyPhase::splicing);
  EXPECT_EQ(why_lost(copy_of(*connection_.server)), "");
  connection_.kernel.reset();
  EXPECT_NE(why_lost(copy_of(*connection_.server)), "");
}

TEST_F(NbdServerTest, AReadThatThreeServersDiedOfFailsAndNoOther) {
  table().add({.id = 1, .range = {0, 512}, .crashes = 2});
  table().mark_started(*table().add({.id = 2, .range = {512, 512}, .crashes = 2}));
  die_by([] { std::abort(); });
  start();
  const auto failed = connection_.receive_header();
  EXPECT_EQ(failed.cookie, 2u);
  EXPECT_EQ(failed.error, static_cast<uint32_t>(EIO));
  EXPECT_EQ(given_up_, (ByteRange{512, 512}));
  expect_answer(1, {0, 512});
}

TEST_F(NbdServerTest, SuspectsAreReadOneAfterTheOther) {
  for (uint64_t id = 0; id < 3; ++id) table().add({.id = id, .range = {0, 512}, .crashes = 2});
  device_->hold();
  start();
  for (uint64_t id = 0; id < 3; ++id) {
    device_->wait_for_held(1);
    EXPECT_EQ(device_->reads(), id + 1);
    device_->answer_one();
    expect_answer(id, {0, 512});
  }
}

TEST_F(NbdServerTest, ASuspectThatWaitsForItsSourceKeepsNoOther) {
  table().add({.id = 1, .range = {0, 512}, .crashes = 2});
  table().add({.id = 2, .range = {512, 512}, .crashes = 2});
  device_->hold();
  start();
  device_->wait_for_held(1);
  device_->tell_waiting();
  device_->wait_for_held(2);
  device_->tell_waiting();
  device_->let_go();
  expect_answer(2, {512, 512});
  expect_answer(1, {0, 512});
}

TEST_F(NbdServerTest, AFaultIsNotPutDownToAReadThatWaitsForItsSource) {
  device_->hold();
  start();
  connection_.ask(1, {0, 512});
  device_->wait_for_held(1);
  device_->tell_waiting();
  for (const uint64_t next : {2, 3}) {  // a server that takes one has looked at what came before it took the last one
    connection_.ask(next, {512, 512});
    device_->wait_for_held(next);
  }
  stop();
  die_by([] { std::abort(); });
  const auto owed = table().take_over();
  ASSERT_EQ(owed.size(), 3u);
  EXPECT_EQ(owed[0].second.crashes, 0u);
  EXPECT_EQ(owed[1].second.crashes, 1u);
}

}  // namespace
}  // namespace erofs_oci::nbd
