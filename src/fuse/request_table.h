// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/byte_range.h"
#include "base/bytes.h"
#include "base/unique_fd.h"

namespace erofs_oci::fuse {

/// A read that was received and not answered yet.
struct PendingRead {
  uint64_t unique = 0;   ///< the kernel's name of the request; never 0
  ByteRange range;       ///< as asked for, not cut to the file's size
  uint32_t crashes = 0;  ///< how often a server died while it was pending
};

/// The reads that a server owes the kernel, in a memfd, so that a successor on the same connection can answer
/// them after an orderly stop and after a SIGKILL alike. The receive buffer is part of it: a request is in
/// the table from the moment the kernel hands it over. An answer given twice does no harm: the kernel knows
/// no such request any more. Layout: README.md. remove() is thread-safe, everything else is for one thread at
/// a time.
class RequestTable {
 public:
  static constexpr uint32_t kSlots = 1024;
  using Slot = uint32_t;

  /// An empty table in a memfd of its own.
  static RequestTable create();
  /// The table that a predecessor left in `memfd`; Error corrupt where that is none.
  static RequestTable adopt(UniqueFd memfd);

  RequestTable(RequestTable&& other) noexcept;
  RequestTable& operator=(RequestTable&&) = delete;
  ~RequestTable();

  /// For the descriptor store.
  int fd() const { return memfd_.get(); }

  /// To read(2) into; at least FUSE_MIN_READ_BUFFER bytes, aligned for the protocol's structures.
  MutableBytes receive_buffer();
  /// The receive buffer, where it holds a request that nobody has dealt with; empty else.
  Bytes unhandled() const;
  /// What was received is answered, or noted by add().
  void mark_handled();

  /// Notes `read`; nullopt where all slots are taken.
  std::optional<Slot> add(const PendingRead& read);
  /// `slot` is answered and free for others.
  void remove(Slot slot);

  /// Takes over what the predecessor owed, each read in its slot. Call once, before the first add(). The
  /// reads' `crashes` grow unless the predecessor called mark_orderly().
  std::vector<std::pair<Slot, PendingRead>> take_over();
  /// The end of this server is no crash. Reads still pending are its successor's.
  void mark_orderly();

 private:
  struct Layout;
  explicit RequestTable(UniqueFd memfd);

  UniqueFd memfd_;
  Layout* layout_;
  Slot cursor_ = 0;  ///< where the search for a free slot goes on
};

}  // namespace erofs_oci::fuse
