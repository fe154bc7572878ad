// SPDX-License-Identifier: Apache-2.0
#include "cli/progress.h"

#include <gtest/gtest.h>

namespace erofs_oci {
namespace {

using namespace std::chrono_literals;

TEST(Progress, TellsRateAndTimeLeftOnceTheyAreKnown) {
  const OpenProgress progress{.stage = "x", .done = 3 << 20, .total = 12 << 20};
  EXPECT_EQ(describe(progress, 0.1s, 0), "3.0 MiB of 12.0 MiB, 25 %");
  EXPECT_EQ(describe(progress, 1s, 0), "3.0 MiB of 12.0 MiB, 25 %, 3.0 MiB/s, 3 s left");
  EXPECT_EQ(describe(progress, 1s, 3 << 20), "3.0 MiB of 12.0 MiB, 25 %") << "nothing went by yet";
  EXPECT_EQ(describe({.stage = "x"}, 1s, 0), "");
}

TEST(Progress, ALongNameLosesItsBeginning) {
  const std::string text = "building the index: 124.0 MiB of 1.2 GiB, 10 %, 95.1 MiB/s, 12 s left";
  EXPECT_EQ(fit_line("tools", "resolving", 79), "tools: resolving");
  EXPECT_EQ(fit_line("registry.example.com/team/tools:1.4", text, 95),
            "…mple.com/team/tools:1.4: " + text)
      << "the end of the name and all of the text";
  EXPECT_EQ(fit_line("registry.example.com/team/tools:1.4", text, 60), text.substr(0, 60)) << "no room for a name";
}

TEST(Progress, ANameIsCutBetweenCharacters) {
  for (size_t columns = 20; columns < 40; ++columns) {
    const std::string line = fit_line("ääääääääääääääääääää", "text", columns);
    EXPECT_NE(static_cast<unsigned char>(line[line.starts_with("…") ? 3 : 0]) & 0xc0, 0x80) << columns;
  }
}

}  // namespace
}  // namespace erofs_oci
