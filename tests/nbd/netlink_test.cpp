// SPDX-License-Identifier: Apache-2.0
#include "nbd/netlink.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/socket.h>

#include <future>
#include <random>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "fuse/memory_device.h"
#include "nbd/connected_device.h"
#include "nbd/connection.h"
#include "nbd/kernel_device.h"

namespace erofs_oci::nbd {
namespace {

using namespace std::chrono_literals;

constexpr uint64_t kSize = 4 * kMiB;
constexpr auto kIdentifier = "erofs-oci:test:1";

auto in(std::chrono::milliseconds time) {
  return std::chrono::steady_clock::now() + time;
}

std::string noise() {
  std::mt19937_64 random(1);
  std::string bytes(kSize, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

/// A server that can die.
class MortalServer {
 public:
  MortalServer(std::vector<UniqueFd> fds, std::shared_ptr<BlockDevice> device)
      : control_(duplicate(fds[0].get())),
        server_(new_connection(std::move(fds)), std::move(device), [](ByteRange) {}),
        thread_([this] { server_.run(); }) {}
  ~MortalServer() { die(); }
  void die() {
    ::shutdown(control_.get(), SHUT_RDWR);
    if (thread_.joinable()) thread_.join();
  }

 private:
  UniqueFd control_;
  Server server_;
  std::thread thread_;
};

ErrorKind kind_of_error(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.kind();
  }
  ADD_FAILURE() << "nothing was thrown";
  return ErrorKind::system;
}

/// A device on the kernel's own driver, served from memory.
class NbdKernelTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root, to make devices";
    try {
      netlink_ = std::make_unique<Netlink>();
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::unsupported) GTEST_SKIP() << error.what();
      throw;
    }
    connected_.emplace(ConnectedDevice::connect(*netlink_, settings()));
    serve(connected_->take_server_fds());
    nbd().wait_until_ready(kSize, in(5s));
    nbd().set_queue({.io_timeout = 1s, .read_ahead_bytes = kMiB, .max_request_bytes = kMiB, .requests = 24});
  }
  void TearDown() override {
    if (connected_) server_.reset();  // pending reads fail with the device, not with a time-out
    connected_.reset();
  }

  static DeviceSettings settings() {
    return {
        .size_bytes = kSize, .block_size = 4096, .identifier = kIdentifier, .dead_connection_timeout = 1h};
  }
  void serve(std::vector<UniqueFd> fds) { server_ = std::make_unique<MortalServer>(std::move(fds), memory_); }
  void reattach_and_serve() { serve(reattach(*netlink_, nbd().index(), kIdentifier, in(5s))); }
  const KernelDevice& nbd() const { return connected_->device(); }
  std::string attribute(const std::string& name) const {
    return read_text_file(fmt::format("/sys/block/nbd{}/{}", nbd().index(), name), 4096);
  }

  /// Reads past the page cache; throws where the kernel gives an error.
  std::string read(ByteRange range) const {
    const UniqueFd fd = open_file(nbd().path(), O_RDONLY | O_DIRECT);
    const std::unique_ptr<void, decltype(&::free)> buffer(std::aligned_alloc(4096, range.length), ::free);
    pread_exactly(fd.get(), range.offset, {static_cast<std::byte*>(buffer.get()), range.length},
                  nbd().path());
    return {static_cast<const char*>(buffer.get()), range.length};
  }

  const std::string content_ = noise();
  const std::shared_ptr<MemoryDevice> memory_ = std::make_shared<MemoryDevice>(content_);
  std::unique_ptr<Netlink> netlink_;
  std::optional<ConnectedDevice> connected_;
  std::unique_ptr<MortalServer> server_;
};

TEST_F(NbdKernelTest, DeviceReadsWhatTheServerHas) {
  EXPECT_EQ(read({0, kSize}), content_);
  EXPECT_EQ(memory_->largest_read(), kMiB);
}

TEST_F(NbdKernelTest, DeviceIsWhatWasAskedFor) {
  EXPECT_EQ(nbd().identifier(), kIdentifier);
  EXPECT_EQ(nbd().pid(), static_cast<uint64_t>(::getpid()));
  EXPECT_EQ(attribute("ro"), "1\n");
  EXPECT_EQ(attribute("queue/logical_block_size"), "4096\n");
  EXPECT_EQ(attribute("queue/io_timeout"), "1000\n");
  EXPECT_EQ(attribute("queue/read_ahead_kb"), "1024\n");
  EXPECT_EQ(attribute("queue/max_sectors_kb"), "1024\n");
  EXPECT_TRUE(netlink_->is_configured(nbd().index()));
}

TEST_F(NbdKernelTest, DeviceIsFoundByItsIdentifierAlone) {
  ASSERT_TRUE(KernelDevice::find(kIdentifier));
  EXPECT_EQ(KernelDevice::find(kIdentifier)->index(), nbd().index());
  EXPECT_FALSE(KernelDevice::find("erofs-oci:test:2"));
}

TEST_F(NbdKernelTest, UndoDisconnectsAndReleaseDoesNot) {
  const KernelDevice device = nbd();
  connected_->release();
  connected_.reset();
  EXPECT_EQ(device.identifier(), kIdentifier);
  netlink_->disconnect(device.index(), "erofs-oci:test:2");  // whose number this was before
  EXPECT_EQ(device.identifier(), kIdentifier);
  netlink_->disconnect(device.index(), kIdentifier);
  EXPECT_FALSE(device.identifier());
  EXPECT_FALSE(device.pid());
  EXPECT_FALSE(netlink_->is_configured(device.index()));
  {
    const auto other = ConnectedDevice::connect(*netlink_, settings());
    EXPECT_TRUE(KernelDevice::find(kIdentifier));
  }
  EXPECT_FALSE(KernelDevice::find(kIdentifier));
}

TEST_F(NbdKernelTest, ClaimedDeviceIsInUse) {
  EXPECT_FALSE(nbd().is_in_use());
  const UniqueFd claim = open_file(nbd().path(), O_RDONLY | O_EXCL);
  EXPECT_TRUE(nbd().is_in_use());
}

TEST_F(NbdKernelTest, NotReadyInTimeIsUnavailable) {
  EXPECT_EQ(kind_of_error([&] { nbd().wait_until_ready(2 * kSize, in(20ms)); }), ErrorKind::unavailable);
}

TEST_F(NbdKernelTest, ReattachUnderAnotherIdentifierIsRefused) {
  const auto attempt = [&] { reattach(*netlink_, nbd().index(), "erofs-oci:test:2", in(1s)); };
  EXPECT_EQ(kind_of_error(attempt), ErrorKind::invalid);
}

TEST_F(NbdKernelTest, ReattachWhileTheOldConnectionLivesIsGivenUp) {
  const auto attempt = [&] { reattach(*netlink_, nbd().index(), kIdentifier, in(100ms)); };
  EXPECT_EQ(kind_of_error(attempt), ErrorKind::unavailable);
  EXPECT_EQ(read({0, 4096}), content_.substr(0, 4096));
}

TEST_F(NbdKernelTest, DeathOfTheServerIsReportedOnce) {
  EXPECT_FALSE(netlink_->wait_for_dead_link(nbd().index(), in(20ms)));
  server_->die();
  EXPECT_TRUE(netlink_->wait_for_dead_link(nbd().index(), in(5s)));
  EXPECT_FALSE(netlink_->wait_for_dead_link(nbd().index(), in(20ms)));
}

TEST_F(NbdKernelTest, ReadInFlightAtADeathIsAnsweredAfterReattachment) {
  memory_->hold();
  auto pending = std::async(std::launch::async, [&] { return read({kMiB, 4096}); });
  memory_->wait_for_held(1);
  server_->die();
  memory_->let_go();
  reattach_and_serve();
  EXPECT_EQ(pending.get(), content_.substr(kMiB, 4096));
}

TEST_F(NbdKernelTest, ManyDeathsUnderLoadFailNoRead) {
  std::atomic<bool> enough = false;
  auto wrong_reads = std::async(std::launch::async, [&] {
    int wrong = 0;
    for (uint64_t i = 0; !enough; ++i) {
      const ByteRange range{i * 64 * kKiB % kSize, 64 * kKiB};
      wrong += read(range) != content_.substr(range.offset, range.length);
    }
    return wrong;
  });
  for (int i = 0; i < 20; ++i) {
    std::this_thread::sleep_for(5ms);
    server_->die();
    reattach_and_serve();
  }
  enough = true;
  EXPECT_EQ(wrong_reads.get(), 0);
}

}  // namespace
}  // namespace erofs_oci::nbd
