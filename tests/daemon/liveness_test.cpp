// SPDX-License-Identifier: Apache-2.0
// A loop that serves and does not get on is found by its pulse, whichever it is.
#include <gtest/gtest.h>

#include <future>

#include "base/pulse.h"
#include "daemon/transport.h"
#include "http/engine.h"
#include "nbd/connection.h"

namespace erofs_oci {
namespace {

using std::chrono::milliseconds;

/// Where a loop is held, until release().
class Trap {
 public:
  void enter() {
    entered_.set_value();
    released_.get_future().wait();
  }
  void wait_for_victim() { entered_.get_future().wait(); }
  void release() { released_.set_value(); }

 private:
  std::promise<void> entered_;
  std::promise<void> released_;
};

class TrappingDevice : public BlockDevice {
 public:
  explicit TrappingDevice(Trap& trap) : trap_(trap) {}
  uint64_t size_bytes() const override { return 1 << 20; }
  uint32_t block_size() const override { return 4096; }
  void read(ByteRange, ReadDone done) override {
    trap_.enter();
    done({EIO, {}});
  }

 private:
  Trap& trap_;
};

/// Nobody is stuck; then somebody is, in `trap`.
void expect_stuck(const Pulses& pulses, Trap& trap, const char* thread) {
  trap.wait_for_victim();
  std::this_thread::sleep_for(milliseconds(5));
  EXPECT_EQ(pulses.find_stuck(milliseconds(1)), thread);
  EXPECT_EQ(pulses.find_stuck(std::chrono::minutes(1)), std::nullopt);
  trap.release();
}

TEST(Liveness, ANbdLoopThatHangsIsFound) {
  Pulses pulses;
  Trap trap;
  nbd::TestConnection connection;
  const auto transport =
      serve_nbd(*std::move(connection.server), std::make_shared<TrappingDevice>(trap), {}, {}, &pulses);
  connection.ask(1, {0, 4096});
  expect_stuck(pulses, trap, "nbd");
}

TEST(Liveness, ATransferLoopThatHangsIsFound) {
  Pulses pulses;
  Trap trap;
  http::Engine engine({.pulses = &pulses});
  engine.spawn([](Trap& caught) -> http::Task<void> {
    caught.enter();
    co_return;
  }(trap));
  expect_stuck(pulses, trap, "transfer");
}

}  // namespace
}  // namespace erofs_oci
