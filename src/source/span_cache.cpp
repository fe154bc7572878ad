// SPDX-License-Identifier: Apache-2.0
#include "source/span_cache.h"

#include <iterator>

namespace erofs_oci {

SpanRef SpanCache::find(SpanKey key) {
  const auto found = index_.find(key);
  if (found == index_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return found->second->span;
}

void SpanCache::insert(SpanKey key, SpanRef span) {
  entries_.push_front({key, std::move(span)});
  index_[key] = entries_.begin();
}

std::vector<SpanRef> SpanCache::evict(uint64_t wanted) {
  std::vector<SpanRef> victims;
  uint64_t found = 0;
  for (auto entry = entries_.end(); entry != entries_.begin() && found < wanted;) {
    --entry;
    // New references come from this cache alone, so a count of one cannot grow meanwhile.
    if (entry->span.use_count() > 1) continue;
    found += entry->span->size();
    victims.push_back(std::move(entry->span));
    index_.erase(entry->key);
    entry = entries_.erase(entry);
  }
  return victims;
}

std::vector<SpanRef> SpanCache::remove_stream(uint64_t stream) {
  std::vector<SpanRef> removed;
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    if (entry->key.stream == stream) {
      removed.push_back(std::move(entry->span));
      index_.erase(entry->key);
      entry = entries_.erase(entry);
    } else {
      ++entry;
    }
  }
  return removed;
}

}  // namespace erofs_oci
