// SPDX-License-Identifier: Apache-2.0
#include "base/secret.h"

#include <gtest/gtest.h>

#include <type_traits>

namespace erofs_oci {
namespace {

TEST(Secret, CannotBeFormatted) {
  static_assert(!fmt::is_formattable<Secret>::value);
  static_assert(!std::is_convertible_v<Secret, std::string>);
}

TEST(Secret, MovingLeavesNothingBehind) {
  for (const std::string& text : {std::string("short"), std::string(100, 'x')}) {
    Secret from(text);
    const Secret to(std::move(from));
    EXPECT_EQ(to.reveal(), text);
    EXPECT_TRUE(from.empty());  // NOLINT(bugprone-use-after-move): what is left behind is the point
    EXPECT_EQ(std::string(from.reveal().data(), text.size()).find(text), std::string::npos);
  }
}

}  // namespace
}  // namespace erofs_oci
