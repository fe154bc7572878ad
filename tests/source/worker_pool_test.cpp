// SPDX-License-Identifier: Apache-2.0
#include "source/worker_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <string>

namespace erofs_oci {
namespace {

/// A task that holds its thread until release().
class Blocker {
 public:
  std::function<void()> task() {
    return [this] {
      started_.set_value();
      released_.get_future().wait();
    };
  }
  void wait_for_start() { started_.get_future().wait(); }
  void release() { released_.set_value(); }

 private:
  std::promise<void> started_;
  std::promise<void> released_;
};

TEST(WorkerPool, StartsReadersTasksFirst) {
  std::string order;
  Blocker blocker;
  {
    WorkerPool pool(1);
    pool.post(Priority::foreground, blocker.task());
    blocker.wait_for_start();
    pool.post(Priority::prefetch, [&] { order += "p"; });
    pool.post(Priority::read_ahead, [&] { order += "a"; });
    pool.post(Priority::foreground, [&] { order += "f"; });
    pool.post(Priority::read_ahead, [&] { order += "a"; });
    pool.post(Priority::foreground, [&] { order += "f"; });
    blocker.release();
  }
  EXPECT_EQ(order, "ffaap");
}

TEST(WorkerPool, PrefetchLeavesAThreadFree) {
  Blocker first;
  std::atomic<int> prefetched{0};
  WorkerPool pool(2);
  pool.post(Priority::prefetch, first.task());
  first.wait_for_start();
  pool.post(Priority::prefetch, [&] { ++prefetched; });
  std::promise<void> read;
  pool.post(Priority::foreground, [&] { read.set_value(); });
  read.get_future().wait();
  EXPECT_EQ(prefetched, 0);
  first.release();
}

TEST(WorkerPool, AStuckTaskShowsInItsThreadsPulse) {
  Pulses pulses;
  std::promise<void> begun;
  std::promise<void> release;
  {
    WorkerPool pool(2, &pulses);
    EXPECT_EQ(pulses.find_stuck(std::chrono::milliseconds(0)), std::nullopt) << "idle threads are well";
    pool.post(Priority::foreground, [&] {
      begun.set_value();
      release.get_future().wait();
    });
    begun.get_future().wait();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    EXPECT_EQ(pulses.find_stuck(std::chrono::milliseconds(1)), "inflate");
    release.set_value();
  }
  EXPECT_EQ(pulses.find_stuck(std::chrono::milliseconds(0)), std::nullopt) << "they have ended";
}

}  // namespace
}  // namespace erofs_oci
