// SPDX-License-Identifier: Apache-2.0
#include "generator/unit_text.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace erofs_oci {
namespace {

// The expected names are those of systemd-escape --path.
TEST(PathUnitName, IsWhatSystemdCallsIt) {
  EXPECT_EQ(path_unit_name("/srv/tools", ".mount"), "srv-tools.mount");
  EXPECT_EQ(path_unit_name("/srv/my-tools", ".mount"), "srv-my\\x2dtools.mount");
  EXPECT_EQ(path_unit_name("/.hidden/a b", ".automount"), "\\x2ehidden-a\\x20b.automount");
  EXPECT_EQ(path_unit_name("/srv/.x/\xc3\xa4\\", ".mount"), "srv-.x-\\xc3\\xa4\\x5c.mount");
  EXPECT_EQ(path_unit_name("/", ".mount"), "-.mount");
}

TEST(UnitWord, HidesWhatUnitFilesTakeForSomethingElse) {
  EXPECT_EQ(unit_word("/a b/%i/\"c\"\\"), R"("/a b/%%i/\"c\"\\")");
}

TEST(UnitPath, DoublesPercentSigns) {
  EXPECT_EQ(unit_path("/a b/100%"), "/a b/100%%");
}

TEST(UnitPath, RefusesWhatALineCannotEndIn) {
  EXPECT_THROW(unit_path("/a "), Error);
  EXPECT_THROW(unit_path("/a\\"), Error);
}

}  // namespace
}  // namespace erofs_oci
