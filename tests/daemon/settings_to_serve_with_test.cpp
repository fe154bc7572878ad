// SPDX-License-Identifier: Apache-2.0
#include "daemon/settings_to_serve_with.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "base/file.h"
#include "base/temporary_folder.h"

namespace erofs_oci {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class SettingsToServeWithTest : public ::testing::Test {
 protected:
  void SetUp() override {
    set_log_sink([this](LogLevel, std::string_view message, const LogFields&) { said_.emplace_back(message); });
  }
  void TearDown() override {
    set_log_sink([](LogLevel, std::string_view, const LogFields&) {});
  }

  DaemonSettings start_with(std::string_view text) {
    said_.clear();
    write_file_durably(folder_ / "settings", text, 0644);
    return settings_to_serve_with(folder_ / "settings", folder_.path());
  }

  testing::TemporaryFolder folder_;
  std::vector<std::string> said_;
};

TEST_F(SettingsToServeWithTest, WrongOnesAreReplacedByThoseOfTheLastStart) {
  EXPECT_EQ(start_with("cache_limit = \"200GiB\"\n").cache_limit, 200 * kGiB);
  EXPECT_THAT(said_, IsEmpty());
  EXPECT_EQ(start_with("cache_limt = \"100GiB\"\n").cache_limit, 200 * kGiB);
  EXPECT_THAT(said_, ElementsAre(AllOf(HasSubstr("settings:1"), HasSubstr("cache_limt"), HasSubstr("of the last start"))));
  EXPECT_EQ(start_with("workers = \n").cache_limit, 200 * kGiB) << "a second time, too";
  EXPECT_EQ(start_with("cache_limit = \"100GiB\"\n").cache_limit, 100 * kGiB);
}

TEST_F(SettingsToServeWithTest, WithoutFormerOnesTheDefaultsHold) {
  EXPECT_EQ(start_with("[").cache_limit, DaemonSettings().cache_limit);
  EXPECT_THAT(said_, ElementsAre(HasSubstr("settings:1")));
}

TEST_F(SettingsToServeWithTest, AFileThatIsGoneMeansTheDefaults) {
  EXPECT_EQ(start_with("workers = 7\n").workers, 7u);
  EXPECT_EQ(settings_to_serve_with(folder_ / "gone", folder_.path()).workers, std::nullopt);
}

}  // namespace
}  // namespace erofs_oci
