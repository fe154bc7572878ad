// SPDX-License-Identifier: Apache-2.0
#include "nbd/transmission.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <map>
#include <thread>

#include "base/error.h"

namespace erofs_oci::nbd {
namespace {

using namespace std::chrono_literals;

std::byte byte_at(uint64_t offset) { return static_cast<std::byte>(offset * 31 >> 3); }

/// Bytes below `slow_from` are answered at once; reads beyond wait until finish_slow(). Reads at `bad` fail.
class FakeDevice : public BlockDevice {
 public:
  static constexpr uint64_t kSlowFrom = 1 << 20;
  static constexpr uint64_t kBad = 4096 * 100;

  uint64_t size_bytes() const override { return 64 << 20; }
  uint32_t block_size() const override { return 512; }
  void read(ByteRange range, ReadDone done) override {
    if (range.offset < kSlowFrom) return done(answer(range));
    MutexLock lock(mutex_);
    slow_.emplace_back(range, std::move(done));
  }
  size_t slow_count() {
    MutexLock lock(mutex_);
    return slow_.size();
  }
  void finish_slow() {
    std::vector<std::pair<ByteRange, ReadDone>> slow;
    {
      MutexLock lock(mutex_);
      slow.swap(slow_);
    }
    for (auto& [range, done] : slow) done(answer(range));
  }

 private:
  static ReadResult answer(ByteRange range) {
    if (range.offset == kBad) return {EACCES, {}};
    auto data = std::make_shared<std::vector<std::byte>>(range.length);
    for (uint64_t i = 0; i < range.length; ++i) (*data)[i] = byte_at(range.offset + i);
    const size_t half = range.length / 2;
    return {0, {{Bytes(*data).first(half), data}, {Bytes(*data).subspan(half), data}}};
  }
  Mutex mutex_;
  std::vector<std::pair<ByteRange, ReadDone>> slow_ GUARDED_BY(mutex_);
};

struct Answer {
  uint64_t cookie;
  uint32_t error;
  std::vector<std::byte> data;
};

class TransmissionTest : public testing::Test {
 protected:
  void SetUp() override { start(false); }
  void start(bool structured) {
    int pair[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    client_ = UniqueFd(pair[0]);
    const timeval limit{10, 0};
    ::setsockopt(client_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    server_ = std::make_unique<Transmission>(UniqueFd(pair[1]), device_, structured);
    thread_ = std::jthread([this] { reason_ = server_->run(); });
  }
  void TearDown() override {
    client_.reset();
    device_->finish_slow();
    thread_ = {};
  }
  EndReason end() {
    thread_.join();
    return reason_;
  }

  void send(uint16_t command, uint64_t cookie, uint64_t offset, uint32_t length, uint16_t flags = 0,
            uint32_t magic = kRequestMagic) {
    std::array<std::byte, kRequestSize> request{};
    store_be(request.data(), magic);
    store_be(request.data() + 4, flags);
    store_be(request.data() + 6, command);
    store_be(request.data() + 8, cookie);
    store_be(request.data() + 16, offset);
    store_be(request.data() + 24, length);
    send_raw(request);
  }
  void send_raw(Bytes bytes) {
    ASSERT_EQ(::send(client_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }
  void read_request(uint64_t cookie, uint64_t offset, uint32_t length) {
    lengths_[cookie] = length;
    send(0, cookie, offset, length);
  }
  std::vector<std::byte> receive_raw(size_t size) {
    std::vector<std::byte> data(size);
    EXPECT_EQ(::recv(client_.get(), data.data(), size, MSG_WAITALL), static_cast<ssize_t>(size));
    return data;
  }
  Answer receive() {
    const auto header = receive_raw(kSimpleReplySize);
    EXPECT_EQ(load_be<uint32_t>(header.data()), kSimpleReplyMagic);
    Answer answer{load_be<uint64_t>(header.data() + 8), load_be<uint32_t>(header.data() + 4), {}};
    if (answer.error == 0) answer.data = receive_raw(lengths_[answer.cookie]);
    return answer;
  }
  static bool right(const Answer& answer, uint64_t offset) {
    for (size_t i = 0; i < answer.data.size(); ++i) {
      if (answer.data[i] != byte_at(offset + i)) return false;
    }
    return !answer.data.empty();
  }

  std::shared_ptr<FakeDevice> device_ = std::make_shared<FakeDevice>();
  UniqueFd client_;
  std::unique_ptr<Transmission> server_;
  EndReason reason_{};
  std::jthread thread_;
  std::map<uint64_t, uint32_t> lengths_;
};

TEST_F(TransmissionTest, AnswersAReadWithItsBytes) {
  read_request(7, 1000, 70'000);
  const Answer answer = receive();
  EXPECT_EQ(answer.cookie, 7u);
  EXPECT_EQ(answer.error, 0u);
  EXPECT_TRUE(right(answer, 1000));
}

TEST_F(TransmissionTest, AReadFromMemoryOvertakesSlowOnes) {
  for (uint64_t i = 0; i < 127; ++i) read_request(i, FakeDevice::kSlowFrom + i * 4096, 4096);
  read_request(500, 0, 512);
  EXPECT_EQ(receive().cookie, 500u);
  while (device_->slow_count() < 127) std::this_thread::sleep_for(1ms);
  device_->finish_slow();
  for (int i = 0; i < 127; ++i) {
    const Answer answer = receive();
    EXPECT_TRUE(right(answer, FakeDevice::kSlowFrom + answer.cookie * 4096));
  }
}

TEST_F(TransmissionTest, AnErrorIsAnErrorReplyAndTheStreamGoesOn) {
  read_request(1, FakeDevice::kBad, 4096);
  EXPECT_EQ(receive().error, static_cast<uint32_t>(EPERM));
  read_request(2, 0, 4096);
  EXPECT_TRUE(right(receive(), 0));
}

TEST_F(TransmissionTest, AnswersImproperRequestsAsTheProtocolSays) {
  const uint64_t size = device_->size_bytes();
  const struct {
    uint16_t command;
    uint64_t offset;
    uint32_t length;
    uint16_t flags;
    int error;
  } cases[] = {
      {0, size, 1, 0, EINVAL},           {0, size - 1, 2, 0, EINVAL}, {0, UINT64_MAX, 2, 0, EINVAL},
      {0, 0, 0, 0, EINVAL},              {0, 0, kMaxRequest + 1, 0, EINVAL}, {0, 0, 512, 1, EINVAL},
      {0, 0, UINT32_MAX, 0, EINVAL},     {3, 0, 0, 0, EINVAL},        {4, 0, 512, 0, EPERM},
      {6, 0, 512, 0, EPERM},             {99, 0, 0, 0, EINVAL},
  };
  uint64_t cookie = 0;
  for (const auto& test : cases) {
    send(test.command, ++cookie, test.offset, test.length, test.flags);
    const Answer answer = receive();
    EXPECT_EQ(answer.cookie, cookie);
    EXPECT_EQ(answer.error, static_cast<uint32_t>(test.error)) << "case " << cookie;
  }
}

TEST_F(TransmissionTest, ReadsPastAWritesData) {
  std::vector<std::byte> data(300'000, std::byte{0x25});
  send(1, 1, 0, static_cast<uint32_t>(data.size()));
  send_raw(data);
  EXPECT_EQ(receive().error, static_cast<uint32_t>(EPERM));
  read_request(2, 0, 4096);
  EXPECT_TRUE(right(receive(), 0));
}

TEST_F(TransmissionTest, TakesRequestsThatArriveInPieces) {
  std::array<std::byte, kRequestSize> request{};
  store_be(request.data(), kRequestMagic);
  store_be(request.data() + 24, uint32_t{512});
  lengths_[0] = 512;
  for (const std::byte& byte : request) send_raw({&byte, 1});
  EXPECT_TRUE(right(receive(), 0));
}

TEST_F(TransmissionTest, AnswersTheLargestRequest) {
  device_->finish_slow();
  read_request(1, 0, kMaxRequest);
  EXPECT_TRUE(right(receive(), 0));
}

TEST_F(TransmissionTest, GarbageEndsTheConnectionForThePeerToo) {
  send(0, 1, 0, 512, 0, 0xdeadbeef);
  EXPECT_EQ(end(), EndReason::protocol_error);
  char byte;
  EXPECT_EQ(::recv(client_.get(), &byte, 1, 0), 0);
}

TEST_F(TransmissionTest, DisconnectIsAnsweredAfterWhatCameBefore) {
  read_request(1, FakeDevice::kSlowFrom, 4096);
  send(2, 0, 0, 0);
  while (device_->slow_count() == 0) std::this_thread::sleep_for(1ms);
  device_->finish_slow();
  EXPECT_TRUE(right(receive(), FakeDevice::kSlowFrom));
  EXPECT_EQ(end(), EndReason::disconnected);
}

TEST_F(TransmissionTest, APeerThatLeavesEndsIt) {
  read_request(1, FakeDevice::kSlowFrom, 4096);
  while (device_->slow_count() == 0) std::this_thread::sleep_for(1ms);
  client_.reset();
  EXPECT_EQ(end(), EndReason::peer_closed);
  device_->finish_slow();  // its result finds nobody, and harms nothing
}

TEST_F(TransmissionTest, StopWaitsForNoRead) {
  read_request(1, FakeDevice::kSlowFrom, 4096);
  while (device_->slow_count() == 0) std::this_thread::sleep_for(1ms);
  server_->stop();
  EXPECT_EQ(end(), EndReason::stopped);
}

TEST_F(TransmissionTest, APeerThatTakesNothingStopsBeingRead) {
  for (uint64_t i = 0; i < 2000; ++i) {
    std::array<std::byte, kRequestSize> request{};
    store_be(request.data(), kRequestMagic);
    store_be(request.data() + 8, i);
    store_be(request.data() + 24, uint32_t{65536});
    if (::send(client_.get(), request.data(), request.size(), MSG_DONTWAIT | MSG_NOSIGNAL) < 0) break;
  }
  for (uint64_t i = 0; i < 100; ++i) {
    lengths_[i] = 65536;
    EXPECT_TRUE(right(receive(), 0));
  }
}

TEST_F(TransmissionTest, StructuredRepliesCarryOffsetAndError) {
  client_.reset();
  thread_ = {};
  start(true);
  send(0, 9, 4096, 512, kCommandFlagDontFragment);
  const auto data = receive_raw(kStructuredReplySize + 8 + 512);
  EXPECT_EQ(load_be<uint32_t>(data.data()), kStructuredReplyMagic);
  EXPECT_EQ(load_be<uint16_t>(data.data() + 4), kReplyFlagDone);
  EXPECT_EQ(load_be<uint16_t>(data.data() + 6), kReplyOffsetData);
  EXPECT_EQ(load_be<uint64_t>(data.data() + 8), 9u);
  EXPECT_EQ(load_be<uint32_t>(data.data() + 16), 520u);
  EXPECT_EQ(load_be<uint64_t>(data.data() + 20), 4096u);
  EXPECT_EQ(data[28], byte_at(4096));
  send(0, 10, UINT64_MAX, 512);
  const auto error = receive_raw(kStructuredReplySize + 6);
  EXPECT_EQ(load_be<uint16_t>(error.data() + 6), kReplyError);
  EXPECT_EQ(load_be<uint32_t>(error.data() + 20), static_cast<uint32_t>(EINVAL));
}

}  // namespace
}  // namespace erofs_oci::nbd
