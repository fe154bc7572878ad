// SPDX-License-Identifier: Apache-2.0
#include "source/fetch_queue.h"

#include <algorithm>

namespace erofs_oci {

void FetchQueue::add(Fetch& fetch) {
  end(fetch);  // of a request that brought the wrong bytes
  fetch.request = 0;
  fetches_[place_of(fetch)] = &fetch;
  waiting_.push_back(&fetch);
}

void FetchQueue::end(const Fetch& fetch) {
  fetches_.erase(place_of(fetch));
  const auto blob = under_way_.find(fetch.blob);
  if (blob == under_way_.end()) return;
  const auto request = blob->second.find(fetch.request);
  if (request == blob->second.end() || --request->second != 0) return;
  blob->second.erase(request);
  if (blob->second.empty()) under_way_.erase(blob);
}

size_t FetchQueue::requests_of(const void* blob) const {
  const auto found = under_way_.find(blob);
  return found == under_way_.end() ? 0 : found->second.size();
}

void FetchQueue::raise(Fetch& fetch, Priority priority) {
  const auto found = fetches_.find(place_of(fetch));
  if (found != fetches_.end() && found->second == &fetch) fetch.priority = std::min(fetch.priority, priority);
}

/// The fetch of the span `step` behind that one; null where there is none, or its bytes are not neighbours.
FetchQueue::Fetch* FetchQueue::neighbour(const Fetch& fetch, int step) const {
  const auto found = fetches_.find({fetch.blob, fetch.span + static_cast<size_t>(step)});
  if (found == fetches_.end()) return nullptr;
  const ByteRange first = step < 0 ? found->second->stored : fetch.stored;
  const ByteRange second = step < 0 ? fetch.stored : found->second->stored;
  const bool touch = second.offset >= first.offset && second.offset <= first.end() && second.end() > first.end();
  return touch ? found->second : nullptr;
}

FetchQueue::Fetch* FetchQueue::next_waiting(const Fetch& fetch) const {
  Fetch* next = neighbour(fetch, 1);
  return next != nullptr && next->request == 0 ? next : nullptr;
}

/// Only for those who are at least as urgent.
bool FetchQueue::must_wait(const Fetch& fetch) const {
  const auto before = [&](const Fetch& behind) {
    const Fetch* found = neighbour(behind, -1);
    return found != nullptr && found->priority <= fetch.priority ? found : nullptr;
  };
  const Fetch* ahead = before(fetch);
  if (ahead == nullptr) return false;
  if (ahead->request == 0 || requests_of(fetch.blob) >= kUnderWay) return true;
  uint64_t bytes = 0;
  for (; ahead != nullptr && ahead->request != 0; ahead = before(*ahead)) bytes += ahead->stored.length;
  return waiting_bytes_from(fetch) * 2 < bytes;
}

uint64_t FetchQueue::waiting_bytes_from(const Fetch& fetch) const {
  uint64_t bytes = fetch.stored.length;
  for (const Fetch* next = next_waiting(fetch); next != nullptr; next = next_waiting(*next))
    bytes += next->stored.length;
  return bytes;
}

std::vector<FetchQueue::Fetch*> FetchQueue::next() {
  std::vector<Fetch*> together;
  for (const Priority priority : {Priority::foreground, Priority::read_ahead, Priority::prefetch}) {
    const auto first = std::ranges::find_if(
        waiting_, [&](const Fetch* fetch) { return fetch->priority == priority && !must_wait(*fetch); });
    if (first == waiting_.end()) continue;
    ++last_request_;
    for (Fetch* fetch = *first; fetch != nullptr; fetch = next_waiting(*fetch)) {
      if (!together.empty() && fetch->stored.end() - together.front()->stored.offset > kMaxRequest) break;
      together.push_back(fetch);
      fetch->priority = priority;
      fetch->request = last_request_;
    }
    under_way_[together.front()->blob][last_request_] = together.size();
    std::erase_if(waiting_, [](const Fetch* fetch) { return fetch->request != 0; });
    break;
  }
  return together;
}

std::vector<FetchQueue::Fetch*> FetchQueue::take_waiting(const void* blob) {
  std::vector<Fetch*> taken;
  std::erase_if(waiting_, [&](Fetch* fetch) {
    if (fetch->blob != blob) return false;
    end(*fetch);
    taken.push_back(fetch);
    return true;
  });
  return taken;
}

}  // namespace erofs_oci
