// SPDX-License-Identifier: Apache-2.0
#include "base/gate.h"

#include <gtest/gtest.h>

#include <future>
#include <optional>

namespace erofs_oci {
namespace {

TEST(Gate, LetsNobodyInOnceItIsClosed) {
  Gate gate;
  EXPECT_TRUE(Gate::Pass(gate));
  gate.close();
  EXPECT_FALSE(Gate::Pass(gate));
  gate.close();
}

TEST(Gate, IsClosedOnceAllHaveLeft) {
  Gate gate;
  std::optional<Gate::Pass> outer(std::in_place, gate);
  std::optional<Gate::Pass> inner(std::in_place, gate);
  auto closed = std::async(std::launch::async, [&] { gate.close(); });
  while (Gate::Pass(gate)) std::this_thread::yield();  // who asks meanwhile stays out
  inner.reset();
  EXPECT_EQ(closed.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);
  outer.reset();
  closed.get();
}

}  // namespace
}  // namespace erofs_oci
