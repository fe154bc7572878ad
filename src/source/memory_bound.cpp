// SPDX-License-Identifier: Apache-2.0
#include "source/memory_bound.h"

#include <cassert>
#include <utility>

namespace erofs_oci {

void MemoryBound::reserve(Kind kind, uint64_t bytes, Granted granted) {
  {
    MutexLock lock(mutex_);
    pools_[static_cast<int>(kind)].waiters.push_back({bytes, std::move(granted)});
  }
  serve_waiters();
}

std::optional<Reservation> MemoryBound::try_reserve(Kind kind, uint64_t bytes) {
  for (;;) {
    uint64_t shortage = 0;
    {
      MutexLock lock(mutex_);
      if (!pools_[0].waiters.empty() || !pools_[1].waiters.empty()) return std::nullopt;
      if (fits(kind, bytes, shortage)) {
        pools_[static_cast<int>(kind)].used += bytes;
        return Reservation(this, kind, bytes);
      }
    }
    if (shortage == 0 || !evict_ || !evict_(shortage)) return std::nullopt;
  }
}

std::shared_ptr<Buffer> MemoryBound::allocate(Reservation reservation) {
  auto buffer = std::make_unique<Buffer>(pool_.take(reservation.bytes()));
  const auto give_back = [this, held = std::make_shared<Reservation>(std::move(reservation))](Buffer* used) {
    pool_.put(std::move(*used));
    delete used;
    *held = Reservation();
  };
  return {buffer.release(), give_back};
}

uint64_t MemoryBound::used() const {
  MutexLock lock(mutex_);
  return pools_[0].used + pools_[1].used;
}

void MemoryBound::give_back(Kind kind, uint64_t bytes) {
  {
    MutexLock lock(mutex_);
    pools_[static_cast<int>(kind)].used -= bytes;
  }
  retry();
}

void MemoryBound::retry() {
  {
    MutexLock lock(mutex_);
    if (pools_[0].waiters.empty() && pools_[1].waiters.empty()) return;
  }
  serve_waiters();
}

bool MemoryBound::fits(Kind kind, uint64_t bytes, uint64_t& shortage) const {
  const uint64_t own = pools_[static_cast<int>(kind)].used;
  const uint64_t total = pools_[0].used + pools_[1].used;
  if (own == 0) return true;
  if (kind == Kind::reply && own + bytes > limit_ / 2) return false;
  if (total + bytes <= limit_) return true;
  shortage += total + bytes - limit_;
  return false;
}

/// Grants the first waiter of `kind` if it fits.
bool MemoryBound::serve_one(Kind kind, uint64_t& shortage) {
  Waiter waiter;
  {
    MutexLock lock(mutex_);
    Pool& pool = pools_[static_cast<int>(kind)];
    if (pool.waiters.empty() || !fits(kind, pool.waiters.front().bytes, shortage)) return false;
    waiter = std::move(pool.waiters.front());
    pool.waiters.pop_front();
    pool.used += waiter.bytes;
  }
  waiter.granted(Reservation(this, kind, waiter.bytes));
  return true;
}

/// Only one thread serves at a time: dropping evicted buffers comes back here, and would recurse.
void MemoryBound::serve_waiters() {
  {
    MutexLock lock(mutex_);
    if (serving_) {
      serve_again_ = true;
      return;
    }
    serving_ = true;
  }
  for (;;) {
    uint64_t shortage = 0;
    const bool served_span = serve_one(Kind::span, shortage);
    const bool served_reply = serve_one(Kind::reply, shortage);
    if (served_span || served_reply) continue;
    if (shortage != 0 && evict_ && evict_(shortage)) continue;
    MutexLock lock(mutex_);
    if (!std::exchange(serve_again_, false)) {
      serving_ = false;
      return;
    }
  }
}

Reservation& Reservation::operator=(Reservation&& other) noexcept {
  if (this != &other) {
    give_back();
    bound_ = std::exchange(other.bound_, nullptr);
    kind_ = other.kind_;
    bytes_ = other.bytes_;
  }
  return *this;
}

Reservation Reservation::split(uint64_t bytes) {
  assert(bytes <= bytes_);
  bytes_ -= bytes;
  return Reservation(bound_, kind_, bytes);
}

void Reservation::give_back() {
  if (MemoryBound* bound = std::exchange(bound_, nullptr); bound != nullptr && bytes_ != 0) {
    bound->give_back(kind_, bytes_);
  }
}

}  // namespace erofs_oci
