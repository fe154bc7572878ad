// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>

namespace erofs_oci {

/// A word in memory that outlives the process, into which kFaulted is written if the process dies of a fault of its own:
/// SIGSEGV, SIGBUS, SIGFPE, SIGILL or SIGABRT, which is also what a failed assertion, std::terminate() and the service
/// manager's watchdog send. A SIGKILL or a power cut writes nothing. Thread-safe.
class FaultNote {
 public:
  static constexpr uint32_t kFaulted = 2;

  /// `word` outlives this. Throws Error no_space where there are too many.
  explicit FaultNote(std::atomic<uint32_t>& word);
  ~FaultNote();
  FaultNote(const FaultNote&) = delete;
  FaultNote& operator=(const FaultNote&) = delete;

  /// From here on faults of this process are noted, and go on to whoever handled them before. Call once, at its beginning.
  static void begin();

 private:
  std::atomic<std::atomic<uint32_t>*>& place_;
};

}  // namespace erofs_oci
