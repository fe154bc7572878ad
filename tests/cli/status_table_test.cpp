// SPDX-License-Identifier: Apache-2.0
#include "cli/status_table.h"

#include <gtest/gtest.h>

#include "base/bytes.h"

namespace erofs_oci {
namespace {

MountStatus mount(const std::string& name, const std::string& mountpoint) {
  MountStatus status;
  status.name = name;
  status.health = Health::serving;
  status.transport = TransportKind::nbd;
  status.mountpoint = mountpoint;
  status.size_bytes = 65 * kMiB;
  status.counters.fetched_bytes = kMiB;
  status.counters.blob_bytes = 27 * kMiB;
  return status;
}

TEST(StatusTable, ColumnsAreAsWideAsTheyHaveToBe) {
  MountStatus away = mount("a-mount-with-a-long-name", "/srv/x");
  away.health = Health::waiting;
  away.reason = "the registry does not answer";
  away.counters = {};
  EXPECT_EQ(status_table({mount("tools", "/srv/tools"), away}),
            "NAME                      HEALTH   OVER      SIZE           FETCHED  MOUNTPOINT\n"
            "tools                     serving  nbd   65.0 MiB  1.0 MiB/27.0 MiB  /srv/tools\n"
            "a-mount-with-a-long-name  waiting  nbd   65.0 MiB                 -  /srv/x\n"
            "  the registry does not answer\n");
}

TEST(StatusTable, FitsEightyColumns) {
  const std::string table = status_table({mount("tools", "/srv/images/tools-of-the-team")});
  for (size_t at = 0; at < table.size();) {
    const size_t end = table.find('\n', at);
    EXPECT_LE(end - at, 80u) << table;
    at = end + 1;
  }
}

TEST(StatusTable, NothingMountedIsAHeading) {
  EXPECT_EQ(status_table({}), "NAME  HEALTH  OVER  SIZE  FETCHED  MOUNTPOINT\n");
}

}  // namespace
}  // namespace erofs_oci
