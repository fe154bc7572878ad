// SPDX-License-Identifier: Apache-2.0
#include "http/admission.h"

#include <algorithm>

namespace erofs_oci::http {
namespace {

// How many of `slots` a priority may fill: prefetch half of them, read-ahead all but a quarter; always at
// least one.
unsigned share(unsigned slots, Priority priority) {
  switch (priority) {
    case Priority::foreground:
      return slots;
    case Priority::read_ahead:
      return std::max(1u, slots - slots / 4);
    case Priority::prefetch:
      return std::max(1u, slots / 2);
  }
  return slots;
}

}  // namespace

bool Admission::has_slot(const Ticket& ticket) const {
  const auto host = active_by_origin_.find(ticket.origin);
  const unsigned active_there = host == active_by_origin_.end() ? 0 : host->second;
  return active_ < share(total_, ticket.priority) && active_there < share(per_host_, ticket.priority);
}

Admission::Ticket* Admission::next() {
  for (std::list<Ticket*>& queue : queues_) {
    const auto found =
        std::find_if(queue.begin(), queue.end(), [&](const Ticket* t) { return has_slot(*t); });
    if (found == queue.end()) continue;
    Ticket* ticket = *found;
    queue.erase(found);
    ++active_;
    ++active_by_origin_[ticket->origin];
    return ticket;
  }
  return nullptr;
}

void Admission::release(const Ticket& ticket) {
  --active_;
  const auto host = active_by_origin_.find(ticket.origin);
  if (--host->second == 0) active_by_origin_.erase(host);
}

}  // namespace erofs_oci::http
