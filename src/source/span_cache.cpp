// SPDX-License-Identifier: Apache-2.0
#include "source/span_cache.h"

#include <iterator>
#include <utility>

namespace erofs_oci {

SpanRef SpanCache::find(SpanKey key, uint64_t taken) {
  const auto found = index_.find(key);
  if (found == index_.end()) return nullptr;
  Entry& entry = *found->second;
  mark_asked_for(entry);
  entry.taken += taken;
  entries_.splice(entry.is_done() ? entries_.end() : entries_.begin(), entries_, found->second);
  return entry.span;
}

void SpanCache::insert(SpanKey key, SpanRef span, Reason reason, uint64_t taken) {
  Entry entry{key, std::move(span), reason == Reason::ahead, taken};
  if (entry.ahead) ahead_bytes_ += entry.span->size();
  const auto place = reason == Reason::prefetch || entry.is_done() ? entries_.end() : entries_.begin();
  index_[key] = entries_.insert(place, std::move(entry));
}

SpanRef SpanCache::peek(SpanKey key) const {
  const auto found = index_.find(key);
  return found == index_.end() ? nullptr : found->second->span;
}

std::vector<SpanRef> SpanCache::evict(uint64_t wanted) {
  std::vector<SpanRef> victims;
  uint64_t found = 0;
  for (auto entry = entries_.end(); entry != entries_.begin() && found < wanted;) {
    const auto candidate = std::prev(entry);
    // New references come from this cache alone, so a count of one cannot grow meanwhile.
    if (candidate->span.use_count() > 1) {
      entry = candidate;
      continue;
    }
    victims.push_back(take_out(candidate));
    found += victims.back()->size();
  }
  return victims;
}

SpanRef SpanCache::remove(SpanKey key) {
  const auto found = index_.find(key);
  return found == index_.end() ? nullptr : take_out(found->second);
}

std::vector<SpanRef> SpanCache::remove_stream(const Digest& stream) {
  std::vector<SpanRef> removed;
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    const auto candidate = entry++;
    if (candidate->key.stream == stream) removed.push_back(take_out(candidate));
  }
  return removed;
}

void SpanCache::mark_asked_for(Entry& entry) {
  if (std::exchange(entry.ahead, false)) ahead_bytes_ -= entry.span->size();
}

SpanRef SpanCache::take_out(Entries::iterator entry) {
  mark_asked_for(*entry);
  SpanRef span = std::move(entry->span);
  index_.erase(entry->key);
  entries_.erase(entry);
  return span;
}

}  // namespace erofs_oci
