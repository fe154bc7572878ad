// SPDX-License-Identifier: Apache-2.0
// The server on one end of a socket that keeps message boundaries, as /dev/fuse does, the test as the kernel
// on the other: what the kernel does not do on demand. Needs no right.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "fuse/protocol.h"
#include "fuse/serving.h"
#include "handover/fault.h"

namespace erofs_oci::fuse {
namespace {

struct Reply {
  fuse_out_header header{};
  std::string body;
};

class FuseWireTest : public testing::Test {
 protected:
  void SetUp() override {
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    kernel_.reset(ends[0]);
    connection_.reset(ends[1]);
  }

  void start(RequestTable table = RequestTable::create()) {
    server_.emplace(UniqueFd(::fcntl(connection_.get(), F_DUPFD_CLOEXEC, 0)), device_, std::move(table));
  }

  template <typename T>
  static std::string request(uint32_t opcode, uint64_t unique, const T& body) {
    fuse_in_header header{};
    header.len = sizeof header + sizeof body;
    header.opcode = opcode;
    header.unique = unique;
    header.nodeid = FUSE_ROOT_ID;
    std::string bytes(reinterpret_cast<const char*>(&header), sizeof header);
    return bytes.append(reinterpret_cast<const char*>(&body), sizeof body);
  }
  static std::string read_request(uint64_t unique, uint64_t offset, uint32_t size) {
    return request(FUSE_READ, unique, fuse_read_in{.offset = offset, .size = size});
  }

  void send(const std::string& bytes) const {
    ASSERT_EQ(::write(kernel_.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }
  Reply receive() const {
    std::array<char, 65536> buffer;
    const ssize_t count = ::read(kernel_.get(), buffer.data(), buffer.size());
    EXPECT_GE(count, static_cast<ssize_t>(sizeof(fuse_out_header)));
    Reply reply;
    std::memcpy(&reply.header, buffer.data(), sizeof reply.header);
    EXPECT_EQ(reply.header.len, count);
    reply.body.assign(buffer.data() + sizeof reply.header, static_cast<size_t>(count) - sizeof reply.header);
    return reply;
  }

  const std::string content_ = noise(10'000);
  std::shared_ptr<MemoryDevice> device_ = std::make_shared<MemoryDevice>(content_);
  UniqueFd kernel_;
  UniqueFd connection_;
  std::optional<RunningServer> server_;
};

TEST_F(FuseWireTest, ReadIsAnsweredUnderItsName) {
  start();
  send(read_request(42, 9'000, 4'096));
  const Reply reply = receive();
  EXPECT_EQ(reply.header.unique, 42u);
  EXPECT_EQ(reply.header.error, 0);
  EXPECT_EQ(reply.body, content_.substr(9'000));
}

TEST_F(FuseWireTest, KernelThatIsTooOldIsRefused) {
  start();
  send(request(FUSE_INIT, 2, fuse_init_in{.major = 7, .minor = 12}));
  EXPECT_EQ(receive().header.error, -EPROTO);
}

TEST_F(FuseWireTest, WhatIsNotServedIsRefusedAndForgetHasNoReply) {
  start();
  send(request(FUSE_FORGET, 0, fuse_forget_in{}));
  send(request(FUSE_WRITE, 2, fuse_write_in{}));
  send(request(FUSE_LSEEK, 4, fuse_lseek_in{}));
  EXPECT_EQ(receive().header.error, -EROFS);
  EXPECT_EQ(receive().header.error, -ENOSYS);
}

TEST_F(FuseWireTest, RequestThatNobodyDealtWithIsAnsweredBySuccessor) {
  RequestTable table = RequestTable::create();
  const std::string bytes = read_request(2, 0, 100);
  std::ranges::copy(as_bytes(bytes), table.receive_buffer().begin());
  start(std::move(table));
  EXPECT_EQ(receive().body, content_.substr(0, 100));
}

TEST_F(FuseWireTest, RequestNotedAndStillInTheBufferIsAnsweredOnce) {
  RequestTable table = RequestTable::create();
  const std::string bytes = read_request(2, 0, 100);
  std::ranges::copy(as_bytes(bytes), table.receive_buffer().begin());
  table.add({.id = 2, .range = {0, 100}});
  start(std::move(table));
  EXPECT_EQ(receive().header.unique, 2u);
  send(read_request(4, 0, 100));
  EXPECT_EQ(receive().header.unique, 4u);
}

TEST_F(FuseWireTest, AReadThatIsTakenOverKeepsItsTimeOfArrival) {
  RequestTable table = RequestTable::create();
  table.add(
      {.id = 2, .range = {0, 100}, .arrived = std::chrono::steady_clock::now() - std::chrono::hours(1)});
  start(std::move(table));
  receive();
  EXPECT_LT(device_->last_arrival(), std::chrono::steady_clock::now() - std::chrono::minutes(59));
}

TEST_F(FuseWireTest, ReadThatSurvivedThreeCrashesFails) {
  RequestTable table = RequestTable::create();
  table.add({.id = 2, .range = {0, 100}, .crashes = 2});
  table.mark_started(*table.add({.id = 4, .range = {0, 100}, .crashes = 2}));
  die_by([] { std::abort(); });
  start(std::move(table));
  const Reply failed = receive();
  EXPECT_EQ(failed.header.unique, 4u);
  EXPECT_EQ(failed.header.error, -EIO);
  EXPECT_EQ(receive().header.error, 0);
}

TEST_F(FuseWireTest, SuspectsAreReadOneAfterTheOther) {
  RequestTable table = RequestTable::create();
  for (uint64_t id = 2; id <= 6; id += 2) table.add({.id = id, .range = {0, 100}, .crashes = 2});
  device_->hold();
  start(std::move(table));
  for (uint64_t reads = 1; reads <= 3; ++reads) {
    device_->wait_for_held(1);
    EXPECT_EQ(device_->reads(), reads);
    device_->answer_one();
    EXPECT_EQ(receive().header.unique, 2 * reads);
  }
}

TEST_F(FuseWireTest, ASuspectThatWaitsForItsSourceKeepsNoOther) {
  RequestTable table = RequestTable::create();
  for (uint64_t id = 2; id <= 4; id += 2) table.add({.id = id, .range = {0, 100}, .crashes = 2});
  device_->hold();
  start(std::move(table));
  device_->wait_for_held(1);
  device_->tell_waiting();
  device_->wait_for_held(2);
  device_->let_go();
  EXPECT_EQ(receive().header.unique, 4u);
  EXPECT_EQ(receive().header.unique, 2u);
}

/// A table without a free slot.
RequestTable full_table() {
  RequestTable table = RequestTable::create();
  for (uint64_t i = 0; i < RequestTable::kSlots; ++i) table.add({.id = 2 + 2 * i, .range = {0, 1}});
  return table;
}

std::optional<uint64_t> unhandled(const RequestTable& table) {
  const auto request = parse_request(table.unhandled());
  return request ? std::optional(request->header.unique) : std::nullopt;
}

TEST_F(FuseWireTest, ReadThatFindsNoSlotWaitsForOne) {
  device_->hold();
  start(full_table());
  send(read_request(9'000, 1, 1));
  device_->wait_for_held(RequestTable::kSlots);
  device_->answer_one();
  EXPECT_NE(receive().header.unique, 9'000u);
  device_->wait_for_held(RequestTable::kSlots);
  device_->answer_one();
  EXPECT_EQ(receive().header.unique, 9'000u);
  server_->stop();
  device_->let_go();
}

TEST_F(FuseWireTest, StopWhileAReadWaitsForASlotLeavesItInTheBuffer) {
  device_->hold();
  start(full_table());
  send(read_request(9'000, 1, 1));
  device_->wait_for_held(RequestTable::kSlots);
  while (unhandled(server_->copy_table()) != 9'000) std::this_thread::yield();
  server_->stop();
  device_->let_go();  // nobody may see the answers now
  RequestTable table = server_->copy_table();
  EXPECT_EQ(table.take_over().size(), RequestTable::kSlots);
  EXPECT_EQ(unhandled(table), 9'000u);
  char byte;
  EXPECT_EQ(::recv(kernel_.get(), &byte, 1, MSG_DONTWAIT), -1);
}

}  // namespace
}  // namespace erofs_oci::fuse
