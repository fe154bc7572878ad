// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cache/disk_cache.h"
#include "daemon/store.h"

namespace erofs_oci {

/// What must stay in a store.
struct Needed {
  std::set<std::string> mounts;                          ///< names of definitions
  std::set<std::pair<std::string, std::string>> images;  ///< as Store::find_ref() takes them
  std::set<Digest> manifests;                            ///< of what is mounted
};

struct Removed {
  std::string path;
  uint64_t size_bytes = 0;
};

/// Removes the refs, manifests, indexes, traces, bindings and copies of files that nothing in `needed` leads
/// to, and what an unfinished write left; and from `cache`, where there is one that we write, layers of no
/// manifest that stays, and pins of other mounts. With `dry_run` only tells which. Sorted by path. Throws
/// Error.
std::vector<Removed> collect_garbage(Store& store, const Needed& needed, bool dry_run,
                                     DiskCache* cache = nullptr);

}  // namespace erofs_oci
