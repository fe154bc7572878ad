// SPDX-License-Identifier: Apache-2.0
#include "http/task.h"

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>

#include "http/engine.h"

namespace erofs_oci::http {
namespace {

Task<std::string> text() {
  co_return "value";
}
Task<std::unique_ptr<int>> move_only() {
  co_return std::make_unique<int>(7);
}
Task<int> failing() {
  throw std::out_of_range("as thrown");
  co_return 0;
}
Task<int> sum_to(int n) {
  if (n == 0) co_return 0;
  const int below = co_await sum_to(n - 1);
  co_return below + n;
}
Task<void> set(bool& flag) {
  flag = true;
  co_return;
}

TEST(Task, GivesItsValue) {
  Engine engine;
  EXPECT_EQ(engine.run(text()), "value");
  EXPECT_EQ(*engine.run(move_only()), 7);
}

TEST(Task, GivesItsException) {
  Engine engine;
  EXPECT_THROW(engine.run(failing()), std::out_of_range);
}

TEST(Task, AwaitsOthersInTurn) {
  Engine engine;
  EXPECT_EQ(engine.run(sum_to(1000)), 500'500);
}

TEST(Task, StartsWhenAwaitedOnly) {
  bool started = false;
  { const Task<void> never_awaited = set(started); }
  EXPECT_FALSE(started);
}

TEST(Task, ReleasesItsArgumentsBeforeRunReturns) {
  Engine engine;
  const auto held = std::make_shared<int>(1);
  auto hold = [](std::shared_ptr<int>) -> Task<void> { co_return; };
  engine.run(hold(held));
  EXPECT_EQ(held.use_count(), 1);
}

}  // namespace
}  // namespace erofs_oci::http
