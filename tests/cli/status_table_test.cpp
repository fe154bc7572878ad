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
  status.cache = {CacheState::partial, 9 * kMiB, 65 * kMiB, false};
  status.counters.fetched_bytes = kMiB;
  status.counters.blob_bytes = 27 * kMiB;
  return status;
}

TEST(StatusTable, ColumnsAreAsWideAsTheyHaveToBe) {
  MountStatus away = mount("a-mount-with-a-long-name", "/srv/x");
  away.health = Health::waiting;
  away.reason = "the registry does not answer";
  away.counters = {};
  away.cache->state = CacheState::metadata;
  EXPECT_EQ(status_table({mount("tools", "/srv/tools"), away}),
            "NAME                      HEALTH   OVER    CACHED           FETCHED  MOUNTPOINT\n"
            "tools                     serving  nbd       13 %  1.0 MiB/27.0 MiB  /srv/tools\n"
            "a-mount-with-a-long-name  waiting  nbd   metadata                 -  /srv/x\n"
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

TEST(StatusTable, CacheIsNeverRoundedUpToAll) {
  EXPECT_EQ(cached_share(MountCache{CacheState::partial, 1, kMiB, false}), "0 %");
  EXPECT_EQ(cached_share(MountCache{CacheState::partial, kMiB - 1, kMiB, false}), "99 %");
  EXPECT_EQ(cached_share(MountCache{CacheState::partial, 1, 2, false}), "50 %");
  EXPECT_EQ(cached_share(MountCache{CacheState::complete, kMiB, kMiB, false}), "complete");
  EXPECT_EQ(cached_share(std::nullopt), "-");
}

TEST(StatusTable, NothingMountedIsAHeading) {
  EXPECT_EQ(status_table({}), "NAME  HEALTH  OVER  CACHED  FETCHED  MOUNTPOINT\n");
}

}  // namespace
}  // namespace erofs_oci
