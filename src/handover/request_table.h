// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/byte_range.h"
#include "base/bytes.h"
#include "base/unique_fd.h"
#include "handover/fault_note.h"

namespace erofs_oci {

/// A request that was received and not answered yet.
struct PendingRead {
  uint64_t id = 0;       ///< the kernel's name of the request: FUSE's `unique`, NBD's cookie
  ByteRange range;       ///< as asked for, not cut to the device's size; below 4 GiB
  uint32_t crashes = 0;  ///< how often a server died by a fault of its own while it was being read
  uint32_t refusal = 0;  ///< the errno that answers it; 0: it is a proper read
  /// When it was received, be it by a predecessor: to a tenth of a second then, and of 19 days at most.
  std::chrono::steady_clock::time_point arrived = std::chrono::steady_clock::now();
};

/// What is to be thought of a read that servers died of, or beside. Who was killed died of none.
enum class Blame {
  none,
  suspect,  ///< of two deaths: it is tried once more, apart from other suspects (class Suspects)
  guilty,   ///< of three: it fails, so that it cannot take the daemon down for ever
};
Blame blame(const PendingRead& read);

/// Where the reply that is being sent is, for transports that can send a part of one.
enum class ReplyPhase : uint32_t {
  none,      ///< nothing of a reply is out
  piping,    ///< replies are being written to the pipe; none of their bytes is on the connection
  splicing,  ///< their bytes are on the connection or in the pipe, and all in order
  sending,   ///< a reply goes straight to the connection; how much of it went is not known
};

/// The requests that a server owes the kernel, in a memfd, so that a successor on the same connection can
/// answer them after an orderly stop and after a SIGKILL alike. Layout: README.md. remove() is thread-safe,
/// everything else is for one thread at a time. While one lasts, a fault of the process is noted in it (FaultNote).
class RequestTable {
 public:
  static constexpr uint32_t kSlots = 1024;
  using Slot = uint32_t;
  using Entry = std::pair<Slot, PendingRead>;

  /// An empty table in a memfd of its own.
  static RequestTable create();
  /// The table that a predecessor left in `memfd`; Error corrupt where that is none.
  static RequestTable adopt(UniqueFd memfd);

  RequestTable(RequestTable&& other) noexcept;
  RequestTable& operator=(RequestTable&&) = delete;
  ~RequestTable();

  /// For the descriptor store.
  int fd() const { return memfd_.get(); }

  /// For connections that give one request a read(2): to read into, so that a request is in the table from
  /// the moment the kernel hands it over. 8 KiB, aligned for the protocol's structures.
  MutableBytes receive_buffer();
  /// The receive buffer, where it holds a request that nobody has dealt with; empty else.
  Bytes unhandled() const;
  /// What was received is answered, or noted by add().
  void mark_handled();

  /// Notes a read that was received; nullopt where all slots are taken.
  std::optional<Slot> add(const PendingRead& read);
  /// Notes one that is about to be received; mark_received() is to follow.
  std::optional<Slot> announce(const PendingRead& read);
  void mark_received(Slot slot);
  /// From here on a fault is put down to this read.
  void mark_started(Slot slot);
  /// No fault is put down to it any more: it waits for a source that is away. False where `slot` is not that of the started
  /// read `id`, which may have been answered meanwhile.
  bool mark_waiting(Slot slot, uint64_t id);
  /// `slot` is answered and free for others.
  void remove(Slot slot);

  /// Whether the predecessor died by a fault of its own; until take_over().
  bool predecessor_faulted() const;

  /// How many requests are not answered.
  size_t owed() const;

  ReplyPhase phase() const;
  void set_phase(ReplyPhase phase);
  /// `slot` is one of the replies that the phase is about.
  void mark_replying(Slot slot);
  std::vector<Slot> replying() const;
  /// Replies that were never sent are owed again.
  void unmark_replying();

  /// Takes over what the predecessor owed, each read in its slot, but for replying(). Call once, before the
  /// first add(). Reads that were started have one crash more where the predecessor died by a fault.
  /// Of announced ones, `is_still_to_come` tells by the id whether they wait to be received.
  std::vector<Entry> take_over(const std::function<bool(uint64_t id)>& is_still_to_come = [](uint64_t) {
    return false;
  });

 private:
  struct Layout;
  enum class State : uint32_t;
  explicit RequestTable(UniqueFd memfd);
  std::optional<Slot> put(const PendingRead& read, State state);

  UniqueFd memfd_;
  Layout* layout_;
  std::unique_ptr<FaultNote> fault_note_;
  Slot cursor_ = 0;  ///< where the search for a free slot goes on
};

}  // namespace erofs_oci
