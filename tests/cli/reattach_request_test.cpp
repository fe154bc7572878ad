// SPDX-License-Identifier: Apache-2.0
#include "cli/reattach_request.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "base/temporary_folder.h"

namespace erofs_oci {
namespace {

namespace fs = std::filesystem;

class ReattachRequestTest : public ::testing::Test {
 protected:
  testing::TemporaryFolder folder_;
  const ReattachRequest request_{folder_.path()};
};

TEST_F(ReattachRequestTest, IsTakenAndMayBeMadeAnew) {
  EXPECT_NO_THROW(request_.take()) << "there is none";
  for (int i = 0; i < 2; ++i) {
    std::ofstream(folder_ / "reattach");
    EXPECT_TRUE(request_.exists());
    request_.take();
    EXPECT_FALSE(request_.exists());
  }
  EXPECT_NO_THROW(ReattachRequest(folder_ / "none").take());
}

TEST_F(ReattachRequestTest, ALinkIsRemovedAndNotWhatItPointsTo) {
  std::ofstream(folder_ / "other");
  fs::create_symlink(folder_ / "other", folder_ / "reattach");
  request_.take();
  EXPECT_FALSE(request_.exists());
  EXPECT_TRUE(fs::exists(folder_ / "other"));
}

TEST_F(ReattachRequestTest, AFolderThatIsALinkIsNotFollowed) {
  fs::create_directory(folder_ / "real");
  std::ofstream(folder_ / "real" / "reattach");
  fs::create_symlink(folder_ / "real", folder_ / "link");
  EXPECT_THROW(ReattachRequest(folder_ / "link").take(), Error);
  EXPECT_TRUE(fs::exists(folder_ / "real" / "reattach"));
}

TEST_F(ReattachRequestTest, WhatCannotBeRemovedIsAnError) {
  fs::create_directories(folder_ / "reattach" / "full");
  EXPECT_THROW(request_.take(), Error);
  EXPECT_TRUE(request_.exists());
}

}  // namespace
}  // namespace erofs_oci
