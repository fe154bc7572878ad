// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <list>
#include <map>
#include <string>

#include "base/range_reader.h"

namespace erofs_oci::http {

/// Decides which transfer starts next where slots are short. Foreground goes before read-ahead, that before
/// prefetch; within one priority first come, first served. Lower priorities never take all slots of a host or
/// of the whole: a blocked read must not wait for the end of a long transfer that nobody waits for. One
/// thread at a time.
class Admission {
 public:
  /// One transfer's wish for a slot; it stays at its address while it is enqueued or holds a slot.
  struct Ticket {
    std::string origin;
    Priority priority = Priority::foreground;
  };

  Admission(unsigned slots_per_host, unsigned slots_total) : per_host_(slots_per_host), total_(slots_total) {}

  void enqueue(Ticket& ticket) { queue(ticket.priority).push_back(&ticket); }
  /// Takes the next ticket that has a slot from the queue and gives it that slot; nullptr: none may start
  /// now.
  Ticket* next();
  /// A ticket that next() gave out is done.
  void release(const Ticket& ticket);
  /// A ticket that is still in the queue gives up.
  void withdraw(Ticket& ticket) { queue(ticket.priority).remove(&ticket); }

 private:
  std::list<Ticket*>& queue(Priority priority) { return queues_[static_cast<size_t>(priority)]; }
  bool has_slot(const Ticket& ticket) const;

  const unsigned per_host_;
  const unsigned total_;
  unsigned active_ = 0;
  std::map<std::string, unsigned, std::less<>> active_by_origin_;
  std::array<std::list<Ticket*>, 3> queues_;
};

}  // namespace erofs_oci::http
