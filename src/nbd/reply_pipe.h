// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <vector>

#include "base/unique_fd.h"

namespace erofs_oci::nbd {

/// The pipe through which replies go to a socket: bytes leave it only when the socket has them, whenever the
/// process dies, so what is in it is what is still to be sent. Why: README.md. One thread at a time.
class ReplyPipe {
 public:
  /// Both ends of one pipe, whose size the client has set.
  ReplyPipe(UniqueFd read_end, UniqueFd write_end);

  /// How many bytes an empty pipe takes from one fill().
  uint64_t capacity() const { return capacity_; }
  uint64_t waiting() const { return waiting_; }

  /// Fills the empty pipe with all of `pieces`, at most capacity() bytes.
  void fill(const std::vector<iovec>& pieces);
  /// Drops what is in it.
  void drain();

  enum class Moved { all, some, nothing_more };  ///< nothing_more: the socket is closed
  /// Moves what is in it to `socket` as far as that takes it without waiting.
  Moved move_to(int socket);

  /// For the descriptor store.
  int read_fd() const { return read_end_.get(); }
  int write_fd() const { return write_end_.get(); }

 private:
  UniqueFd read_end_;
  UniqueFd write_end_;
  uint64_t capacity_;
  uint64_t waiting_;
};

}  // namespace erofs_oci::nbd
