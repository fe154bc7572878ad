// SPDX-License-Identifier: Apache-2.0
#include "base/pulse.h"

#include <gtest/gtest.h>

#include <thread>

namespace erofs_oci {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

TEST(Pulses, NamesAThreadThatDoesNotGetOn) {
  Pulses pulses;
  const auto idle = pulses.add("idle");
  const auto stuck = pulses.add("stuck");
  stuck->work();
  std::this_thread::sleep_for(milliseconds(5));
  EXPECT_EQ(pulses.find_stuck(milliseconds(1)), "stuck");
  EXPECT_EQ(pulses.find_stuck(hours(1)), std::nullopt);
  stuck->rest();
  EXPECT_EQ(pulses.find_stuck(milliseconds(0)), std::nullopt);
}

TEST(Pulses, EachPieceOfWorkCountsByItself) {
  Pulses pulses;
  const auto busy = pulses.add("busy");
  busy->work();
  std::this_thread::sleep_for(milliseconds(20));
  busy->work();
  EXPECT_EQ(pulses.find_stuck(milliseconds(10)), std::nullopt);
}

TEST(Pulses, ForgetsAThreadThatHasEnded) {
  Pulses pulses;
  auto ended = pulses.add("ended");
  ended->work();
  ended.reset();
  std::this_thread::sleep_for(milliseconds(2));
  EXPECT_EQ(pulses.find_stuck(milliseconds(1)), std::nullopt);
}

}  // namespace
}  // namespace erofs_oci
