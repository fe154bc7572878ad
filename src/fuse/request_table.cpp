// SPDX-License-Identifier: Apache-2.0
#include "fuse/request_table.h"

#include <linux/fuse.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"
#include "base/file.h"

namespace erofs_oci::fuse {
namespace {

constexpr uint64_t kMagic = 0x31'65'73'75'66'2d'6f'65;  // "eo-fuse1"

struct StoredRead {
  std::atomic<uint64_t> unique;  // 0: the slot is free
  uint64_t offset;
  uint64_t length;
  uint32_t crashes;
  uint32_t reserved;
};
static_assert(sizeof(StoredRead) == 32);
static_assert(std::atomic<uint64_t>::is_always_lock_free);

}  // namespace

struct RequestTable::Layout {
  uint64_t magic;
  uint32_t orderly;
  std::array<std::byte, 4084> reserved;
  // Begins with the length of the request, which is 0 where there is none (struct fuse_in_header).
  alignas(8) std::array<std::byte, FUSE_MIN_READ_BUFFER> receive_buffer;
  std::array<StoredRead, kSlots> slots;
};

RequestTable::RequestTable(UniqueFd memfd) : memfd_(std::move(memfd)) {
  static_assert(sizeof(Layout) == 4096 + 8192 + 32768, "README.md describes this layout");
  void* const address =
      ::mmap(nullptr, sizeof(Layout), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, memfd_.get(), 0);
  if (address == MAP_FAILED) throw errno_error("mapping the table of fuse requests");
  layout_ = static_cast<Layout*>(address);
}

RequestTable RequestTable::create() {
  UniqueFd memfd(::memfd_create("erofs-oci-fuse-requests", MFD_CLOEXEC));
  if (!memfd || ::ftruncate(memfd.get(), sizeof(Layout)) != 0)
    throw errno_error("making the table of fuse requests");
  RequestTable table(std::move(memfd));
  table.layout_->magic = kMagic;
  return table;
}

RequestTable RequestTable::adopt(UniqueFd memfd) {
  constexpr std::string_view kName = "the stored table of fuse requests";
  if (stat_fd(memfd.get(), kName).st_size != sizeof(Layout)) {
    throw make_error(ErrorKind::corrupt, "{}: is not {} bytes long", kName, sizeof(Layout));
  }
  RequestTable table(std::move(memfd));
  if (table.layout_->magic != kMagic)
    throw make_error(ErrorKind::corrupt, "{}: has a different format", kName);
  return table;
}

RequestTable::RequestTable(RequestTable&& other) noexcept
    : memfd_(std::move(other.memfd_)),
      layout_(std::exchange(other.layout_, nullptr)),
      cursor_(other.cursor_) {}

RequestTable::~RequestTable() {
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

std::optional<RequestTable::Slot> RequestTable::add(const PendingRead& read) {
  for (Slot tried = 0; tried < kSlots; ++tried) {
    const Slot slot = (cursor_ + tried) % kSlots;
    StoredRead& stored = layout_->slots[slot];
    if (stored.unique.load(std::memory_order_acquire) != 0) continue;
    stored.offset = read.range.offset;
    stored.length = read.range.length;
    stored.crashes = read.crashes;
    stored.unique.store(read.unique,
                        std::memory_order_release);  // last: from here on a successor believes it
    cursor_ = (slot + 1) % kSlots;
    return slot;
  }
  return std::nullopt;
}

void RequestTable::remove(Slot slot) {
  layout_->slots[slot].unique.store(0, std::memory_order_release);
}

std::vector<std::pair<RequestTable::Slot, PendingRead>> RequestTable::take_over() {
  const bool crashed = std::exchange(layout_->orderly, 0) == 0;
  std::vector<std::pair<Slot, PendingRead>> pending;
  for (Slot slot = 0; slot < kSlots; ++slot) {
    StoredRead& stored = layout_->slots[slot];
    const uint64_t unique = stored.unique.load(std::memory_order_acquire);
    if (unique == 0) continue;
    if (crashed) ++stored.crashes;
    pending.emplace_back(slot, PendingRead{unique, {stored.offset, stored.length}, stored.crashes});
  }
  return pending;
}

void RequestTable::mark_orderly() {
  layout_->orderly = 1;
}

}  // namespace erofs_oci::fuse
