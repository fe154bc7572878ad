// SPDX-License-Identifier: Apache-2.0
#include "cli/cache_table.h"

#include <gtest/gtest.h>
#include <time.h>

#include "base/bytes.h"

namespace erofs_oci {
namespace {

TEST(CacheTable, NamesLayersAndWhoUsesThem) {
  ::setenv("TZ", "UTC", 1);
  ::tzset();
  CachedLayerReport layer;
  layer.layer = sha256(as_bytes("layer"));
  layer.table = "index";
  layer.spans = 4000;
  layer.spans_kept = 120;
  layer.bytes_on_disk = 125 * kMiB;
  layer.last_used = 1'800'000'000;
  layer.mounts = {"tools", "more"};
  CachedLayerReport whole = layer;
  whole.table = "plain";
  whole.spans = whole.spans_kept = 7;
  whole.pinned = true;
  whole.mounts = {};
  EXPECT_EQ(cache_table({{layer, whole}}),
            "LAYER                BY             SPANS     ON DISK  LAST USED         MOUNTS\n"
            "sha256:dac1d7cfa950  index       120/4000   125.0 MiB  2027-01-15 08:00  tools,more\n"
            "sha256:dac1d7cfa950  plain          all 7   125.0 MiB  2027-01-15 08:00  pinned\n"
            "250.0 MiB on disk\n");
}

}  // namespace
}  // namespace erofs_oci
