// SPDX-License-Identifier: Apache-2.0
#include "handover/request_table.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>

#include "base/error.h"
#include "base/file.h"

namespace erofs_oci {
namespace {

constexpr uint64_t kMagic = 0x31'73'71'65'72'2d'6f'65;  // "eo-reqs1"

constexpr uint32_t kSuspectCrashes = 2;
constexpr uint32_t kGuiltyCrashes = 3;

using Clock = std::chrono::steady_clock;
using Tenths = std::chrono::duration<int64_t, std::deci>;
constexpr unsigned kArrivalBits = 24;

uint32_t stored_time(Clock::time_point time) {
  const auto tenths = std::chrono::duration_cast<Tenths>(time.time_since_epoch()).count();
  return static_cast<uint32_t>(tenths % (1u << kArrivalBits));
}

/// Now, where it was not noted.
Clock::time_point time_of(uint32_t stored) {
  const auto now = Clock::now();
  if (stored == 0) return now;
  return now - Tenths((stored_time(now) - stored) % (1u << kArrivalBits));
}

}  // namespace

enum class RequestTable::State : uint32_t { free, announced, pending, started, replying };

struct RequestTable::Layout {
  struct StoredRead {
    std::atomic<State> state;
    uint32_t crashes : 32 - kArrivalBits;
    uint32_t arrived : kArrivalBits;
    uint64_t id;
    uint64_t offset;
    uint32_t length;
    uint32_t refusal;
  };
  static_assert(sizeof(StoredRead) == 32);
  static_assert(std::atomic<State>::is_always_lock_free);

  uint64_t magic;
  std::atomic<uint32_t> end;  // FaultNote::kFaulted, or nothing is known to speak against its requests
  std::atomic<ReplyPhase> phase;
  std::array<std::byte, 4080> reserved;
  // Begins with the length of the request, which is 0 where there is none (struct fuse_in_header).
  alignas(8) std::array<std::byte, 8192> receive_buffer;
  std::array<StoredRead, kSlots> slots;
};

Blame blame(const PendingRead& read) {
  if (read.crashes >= kGuiltyCrashes) return Blame::guilty;
  return read.crashes >= kSuspectCrashes ? Blame::suspect : Blame::none;
}

RequestTable::RequestTable(UniqueFd memfd) : memfd_(std::move(memfd)) {
  static_assert(sizeof(Layout) == 4096 + 8192 + 32768, "README.md describes this layout");
  void* const address =
      ::mmap(nullptr, sizeof(Layout), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, memfd_.get(), 0);
  if (address == MAP_FAILED) throw errno_error("mapping the table of requests");
  layout_ = static_cast<Layout*>(address);
  fault_note_ = std::make_unique<FaultNote>(layout_->end);
}

RequestTable RequestTable::create() {
  UniqueFd memfd(::memfd_create("erofs-oci-requests", MFD_CLOEXEC));
  if (!memfd || ::ftruncate(memfd.get(), sizeof(Layout)) != 0)
    throw errno_error("making the table of requests");
  RequestTable table(std::move(memfd));
  table.layout_->magic = kMagic;
  return table;
}

RequestTable RequestTable::adopt(UniqueFd memfd) {
  constexpr std::string_view kName = "the stored table of requests";
  if (stat_fd(memfd.get(), kName).st_size != sizeof(Layout)) {
    throw make_error(ErrorKind::corrupt, "{} is not {} bytes long", kName, sizeof(Layout));
  }
  RequestTable table(std::move(memfd));
  if (table.layout_->magic != kMagic)
    throw make_error(ErrorKind::corrupt, "{} is of another version of erofs-ocid", kName);
  return table;
}

RequestTable::RequestTable(RequestTable&& other) noexcept
    : memfd_(std::move(other.memfd_)),
      layout_(std::exchange(other.layout_, nullptr)),
      fault_note_(std::move(other.fault_note_)),
      cursor_(other.cursor_) {}

RequestTable::~RequestTable() {
  fault_note_.reset();
  if (layout_ != nullptr) ::munmap(layout_, sizeof(Layout));
}

MutableBytes RequestTable::receive_buffer() {
  return layout_->receive_buffer;
}

Bytes RequestTable::unhandled() const {
  if (load_le<uint32_t>(layout_->receive_buffer.data()) == 0) return {};
  return layout_->receive_buffer;
}

void RequestTable::mark_handled() {
  // Release: a request must not vanish from here before it is in its slot.
  auto* const length = reinterpret_cast<uint32_t*>(layout_->receive_buffer.data());
  std::atomic_ref(*length).store(0, std::memory_order_release);
}

std::optional<RequestTable::Slot> RequestTable::put(const PendingRead& read, State state) {
  for (Slot tried = 0; tried < kSlots; ++tried) {
    const Slot slot = (cursor_ + tried) % kSlots;
    Layout::StoredRead& stored = layout_->slots[slot];
    if (stored.state.load(std::memory_order_acquire) != State::free) continue;
    stored.crashes = read.crashes;
    stored.id = read.id;
    stored.offset = read.range.offset;
    stored.length = static_cast<uint32_t>(read.range.length);
    stored.refusal = read.refusal;
    stored.arrived = stored_time(read.arrived);
    stored.state.store(state, std::memory_order_release);  // last: from here on a successor believes it
    cursor_ = (slot + 1) % kSlots;
    return slot;
  }
  return std::nullopt;
}

std::optional<RequestTable::Slot> RequestTable::add(const PendingRead& read) {
  return put(read, State::pending);
}
std::optional<RequestTable::Slot> RequestTable::announce(const PendingRead& read) {
  return put(read, State::announced);
}
void RequestTable::mark_received(Slot slot) {
  layout_->slots[slot].state.store(State::pending, std::memory_order_release);
}
void RequestTable::mark_started(Slot slot) {
  layout_->slots[slot].state.store(State::started, std::memory_order_release);
}
bool RequestTable::mark_waiting(Slot slot, uint64_t id) {
  Layout::StoredRead& stored = layout_->slots[slot];
  State started = State::started;
  return stored.id == id && stored.state.compare_exchange_strong(started, State::pending);
}
void RequestTable::remove(Slot slot) {
  layout_->slots[slot].state.store(State::free, std::memory_order_release);
}

bool RequestTable::predecessor_faulted() const {
  return layout_->end.load() == FaultNote::kFaulted;
}

size_t RequestTable::owed() const {
  return static_cast<size_t>(std::ranges::count_if(
      layout_->slots, [](const Layout::StoredRead& stored) { return stored.state.load() != State::free; }));
}

ReplyPhase RequestTable::phase() const {
  return layout_->phase.load(std::memory_order_acquire);
}
void RequestTable::set_phase(ReplyPhase phase) {
  // In program order with the system calls around it, for which a compiler barrier is enough.
  layout_->phase.store(phase, std::memory_order_seq_cst);
}
void RequestTable::mark_replying(Slot slot) {
  layout_->slots[slot].state.store(State::replying, std::memory_order_release);
}

std::vector<RequestTable::Slot> RequestTable::replying() const {
  std::vector<Slot> slots;
  for (Slot slot = 0; slot < kSlots; ++slot) {
    if (layout_->slots[slot].state.load(std::memory_order_acquire) == State::replying) slots.push_back(slot);
  }
  return slots;
}

void RequestTable::unmark_replying() {
  for (const Slot slot : replying()) mark_received(slot);
}

std::vector<RequestTable::Entry> RequestTable::take_over(
    const std::function<bool(uint64_t id)>& is_still_to_come) {
  const bool crashed = layout_->end.exchange(0) == FaultNote::kFaulted;
  std::vector<Entry> pending;
  for (Slot slot = 0; slot < kSlots; ++slot) {
    Layout::StoredRead& stored = layout_->slots[slot];
    const State state = stored.state.load(std::memory_order_acquire);
    if (state == State::free || state == State::replying) continue;
    if (state == State::announced && is_still_to_come(stored.id)) {
      remove(slot);
      continue;
    }
    if (crashed && state == State::started) ++stored.crashes;
    mark_received(slot);
    pending.emplace_back(slot, PendingRead{stored.id,
                                           {stored.offset, stored.length},
                                           stored.crashes,
                                           stored.refusal,
                                           time_of(stored.arrived)});
  }
  return pending;
}

}  // namespace erofs_oci
