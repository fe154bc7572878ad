// SPDX-License-Identifier: Apache-2.0
#include "daemon/mount_health.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "base/log.h"

namespace erofs_oci {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class MountHealthTest : public ::testing::Test {
 protected:
  void SetUp() override {
    set_log_sink(
        [this](LogLevel, std::string_view message, const LogFields&) { lines_.emplace_back(message); });
  }
  void TearDown() override {
    set_log_sink([](LogLevel, std::string_view, const LogFields&) {});
  }

  std::vector<std::string> lines_;
  MountHealth health_{"tools"};
};

TEST_F(MountHealthTest, GoesFromOpeningToServingToFailed) {
  EXPECT_EQ(health_.state().first, Health::opening);
  health_.transport_started();
  EXPECT_EQ(health_.state().first, Health::serving);
  EXPECT_FALSE(health_.has_ended());
  health_.transport_ended({"the kernel disconnected the device"});
  EXPECT_EQ(health_.state().first, Health::failed);
  EXPECT_EQ(health_.state().second, "the kernel disconnected the device");
  EXPECT_THAT(lines_, IsEmpty()) << "an end in order is no event";
  EXPECT_TRUE(health_.has_ended());
  health_.transport_started();
  EXPECT_EQ(health_.state().first, Health::serving);
}

TEST_F(MountHealthTest, AFailedReadIsTheReasonAndNamesMountAndPlace) {
  health_.transport_started();
  health_.read_failed(ByteRange{4096, 512}, Error(ErrorKind::unavailable, "registry answered 503"));
  EXPECT_EQ(health_.state().first, Health::failed);
  EXPECT_EQ(health_.state().second, "registry answered 503");
  ASSERT_EQ(lines_.size(), 1u);
  EXPECT_EQ(lines_[0], "tools: reading device bytes [4096, 4608) failed: registry answered 503");
}

TEST_F(MountHealthTest, ALostConnectionIsTold) {
  health_.transport_started();
  health_.transport_ended({"the kernel closed the connection", true});
  EXPECT_TRUE(health_.has_ended());
  EXPECT_THAT(lines_, ElementsAre("tools: the kernel closed the connection; waiting for erofs-oci reattach"));
}

TEST_F(MountHealthTest, ManyFailuresAreOneLine) {
  for (int i = 0; i < 1000; ++i) health_.read_failed(ByteRange{0, 512}, Error(ErrorKind::unavailable, "away"));
  EXPECT_EQ(lines_.size(), 1u);
}

}  // namespace
}  // namespace erofs_oci
