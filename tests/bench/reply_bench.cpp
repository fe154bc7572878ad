// SPDX-License-Identifier: Apache-2.0
// What a reply from the cache on disk costs: bytes read, compared with their checksum and written to the socket, as it is done, against
// sendfile(2), which sees no checksum. The cost is processor time of this side, per GiB, while another process takes the bytes.
//
//     bench_reply FILE [ROUNDS]
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <functional>
#include <vector>

#include "base/crc64.h"
#include "base/error.h"
#include "base/file.h"

namespace erofs_oci {
namespace {

constexpr size_t kSpan = kMiB;       // what a checksum covers
constexpr size_t kPiece = 128 * kKiB;  // as CachedLayer reads and checks
constexpr size_t kReply = 128 * kKiB;  // the kernel's read

double processor_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

void write_all(int socket, Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(socket, bytes.data(), bytes.size());
    if (count < 0) throw errno_error("write");
    bytes = bytes.subspan(static_cast<size_t>(count));
  }
}

uint64_t copy_checked(int file, int socket, uint64_t size, bool check) {
  std::vector<std::byte> span(kSpan);
  uint64_t sum = 0;
  for (uint64_t at = 0; at < size; at += kSpan) {
    uint64_t checksum = 0;
    for (size_t done = 0; done < kSpan; done += kPiece) {
      const MutableBytes piece = MutableBytes(span).subspan(done, kPiece);
      pread_exactly(file, at + done, piece, "the file");
      if (check) checksum = crc64(piece, checksum);
    }
    sum ^= checksum;
    for (size_t done = 0; done < kSpan; done += kReply) write_all(socket, Bytes(span).subspan(done, kReply));
  }
  return sum;
}

void send_file(int file, int socket, uint64_t size) {
  for (off_t at = 0; static_cast<uint64_t>(at) < size;) {
    if (::sendfile(socket, file, &at, kReply) <= 0) throw errno_error("sendfile");
  }
}

/// Processor seconds of `body`, whose socket a child reads to its end.
double cost(uint64_t size, const std::function<void(int socket)>& body) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) throw errno_error("socketpair");
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(ends[0]);
    std::vector<std::byte> buffer(kReply);
    uint64_t taken = 0;
    for (ssize_t count; (count = ::read(ends[1], buffer.data(), buffer.size())) > 0;) taken += static_cast<uint64_t>(count);
    ::_exit(taken == size ? 0 : 1);
  }
  ::close(ends[1]);
  const double before = processor_seconds();
  body(ends[0]);
  const double after = processor_seconds();
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (status != 0) throw Error(ErrorKind::system, EIO, "not all bytes came");
  return after - before;
}

void run(const std::string& path, int rounds) {
  const UniqueFd file = open_file(path, O_RDONLY);
  const uint64_t size = std::min<uint64_t>(static_cast<uint64_t>(stat_fd(file.get(), path).st_size), 256 * kMiB) / kSpan * kSpan;
  if (size == 0) throw Error(ErrorKind::invalid, EINVAL, "a file of at least 1 MiB is needed");
  std::vector<double> checked, copied, sent;
  for (int round = 0; round <= rounds; ++round) {  // the first one fills the page cache
    checked.push_back(cost(size, [&](int socket) { copy_checked(file.get(), socket, size, true); }));
    copied.push_back(cost(size, [&](int socket) { copy_checked(file.get(), socket, size, false); }));
    sent.push_back(cost(size, [&](int socket) { send_file(file.get(), socket, size); }));
    if (round == 0) checked.clear(), copied.clear(), sent.clear();
  }
  const auto per_gib = [&](std::vector<double>& times) {
    std::ranges::sort(times);
    return times[times.size() / 2] * static_cast<double>(kGiB) / static_cast<double>(size);
  };
  const double theirs = per_gib(sent);
  const auto row = [&](const char* what, double ours) {
    fmt::print("{:<74} {:>10.3f} s {:>10.3f} s {:>8.2f}\n", what, ours, theirs, theirs / ours);
  };
  row("reply from the cache, processor time a GiB: sendfile : checked and copied", per_gib(checked));
  row("  … copied only", per_gib(copied));
}

}  // namespace
}  // namespace erofs_oci

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "usage: bench_reply FILE [ROUNDS]\n");
    return 2;
  }
  try {
    erofs_oci::run(argv[1], argc > 2 ? std::max(1, std::atoi(argv[2])) : 3);
  } catch (const std::exception& error) {
    fmt::print(stderr, "bench_reply: {}\n", error.what());
    return 1;
  }
  return 0;
}
