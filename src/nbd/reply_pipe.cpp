// SPDX-License-Identifier: Apache-2.0
#include "nbd/reply_pipe.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"

namespace erofs_oci::nbd {
namespace {

/// A pipe keeps pages, of which each writev(2) after the first may leave one half empty.
constexpr size_t kPage = 4096;
constexpr size_t kMaxWrites = 8;

void make_non_blocking(int fd, int access, const char* name) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || (flags & O_ACCMODE) != access || !S_ISFIFO(stat_fd(fd, name).st_mode)) {
    throw make_error(ErrorKind::invalid, "{} is none", name);
  }
  if (::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) throw errno_error("{}", name);
}

}  // namespace

ReplyPipe::ReplyPipe(UniqueFd read_end, UniqueFd write_end)
    : read_end_(std::move(read_end)), write_end_(std::move(write_end)) {
  make_non_blocking(read_end_.get(), O_RDONLY, "the reading end of the pipe for replies");
  make_non_blocking(write_end_.get(), O_WRONLY, "the writing end of the pipe for replies");
  const int size = ::fcntl(write_end_.get(), F_GETPIPE_SZ);
  int waiting = 0;
  if (size < 0 || ::ioctl(read_end_.get(), FIONREAD, &waiting) != 0)
    throw errno_error("the pipe for replies");
  capacity_ =
      static_cast<uint64_t>(size) - std::min<uint64_t>(kMaxWrites * kPage, static_cast<uint64_t>(size) / 2);
  waiting_ = static_cast<uint64_t>(waiting);
}

void ReplyPipe::fill(const std::vector<iovec>& pieces) {
  for (size_t at = 0; at < pieces.size(); at += IOV_MAX) {
    const size_t count = std::min<size_t>(pieces.size() - at, IOV_MAX);
    size_t length = 0;
    for (size_t i = at; i < at + count; ++i) length += pieces[i].iov_len;
    const ssize_t written = ::writev(write_end_.get(), &pieces[at], static_cast<int>(count));
    if (written < 0) throw errno_error("filling the pipe for replies");
    waiting_ += static_cast<uint64_t>(written);
    if (static_cast<size_t>(written) != length) {
      throw make_error(ErrorKind::system, "the pipe for replies took {} of {} bytes", written, length);
    }
  }
}

void ReplyPipe::drain() {
  std::array<std::byte, 64 * kKiB> buffer;
  while (::read(read_end_.get(), buffer.data(), buffer.size()) > 0) continue;
  waiting_ = 0;
}

ReplyPipe::Moved ReplyPipe::move_to(int socket) {
  while (waiting_ != 0) {
    const ssize_t moved =
        ::splice(read_end_.get(), nullptr, socket, nullptr, waiting_, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    if (moved > 0) {
      waiting_ -= static_cast<uint64_t>(moved);
    } else if (moved < 0 && errno == EAGAIN) {
      return Moved::some;
    } else if (moved == 0 || errno != EINTR) {
      return Moved::nothing_more;
    }
  }
  return Moved::all;
}

}  // namespace erofs_oci::nbd
