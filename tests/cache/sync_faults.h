// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

namespace erofs_oci::testing {

/// What the program's fsync(2) and fdatasync(2) do; the definitions below stand before the C library's.
struct SyncFaults {
  static inline std::atomic<int> failures{0};  ///< so many calls of fdatasync fail
  static inline std::atomic<int> folders{0};   ///< that were synced
};

}  // namespace erofs_oci::testing

// To be included by one file of a program.
extern "C" int fdatasync(int fd) {
  if (erofs_oci::testing::SyncFaults::failures.load() > 0) {
    --erofs_oci::testing::SyncFaults::failures;
    errno = EIO;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_fdatasync, fd));
}

extern "C" int fsync(int fd) {
  struct stat info {};
  if (::fstat(fd, &info) == 0 && S_ISDIR(info.st_mode)) ++erofs_oci::testing::SyncFaults::folders;
  return static_cast<int>(::syscall(SYS_fsync, fd));
}
