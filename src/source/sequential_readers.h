// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>

#include "base/byte_range.h"
#include "base/bytes.h"

namespace erofs_oci {

/// Tells from the reads of one stream which of them are sequential, and how far to read ahead of those.
///
/// Reads that follow each other closely make a run; several runs are told apart, so that interleaved readers do
/// not hide each other. A run that is long and dense enough is read ahead of by half of what it has read, so
/// that at most a third of all that is read is read in vain, up to the largest window. A read that belongs to no
/// run begins one in place of the one that was idle the longest. One thread at a time.
class SequentialReaders {
 public:
  /// Readers that are told apart.
  static constexpr size_t kRuns = 16;
  /// Requests of one reader overtake each other, and skip headers between files, by less than this.
  static constexpr uint64_t kSlack = kMiB;
  /// A run of less is no reason to read ahead.
  static constexpr uint64_t kShortRun = 2 * kMiB;

  explicit SequentialReaders(uint64_t max_window) : max_window_(max_window) {}

  /// Notes a read and returns what should be asked for ahead of it now: empty for most reads. Ranges that were
  /// returned for a run before are not returned again. `awaited` is how much is being waited for by now: who asks that
  /// far ahead needs nobody to do so.
  ByteRange note(ByteRange read, uint64_t awaited = 0);

 private:
  /// From `begin` to `end`, of which `read` bytes were read; `ahead` is where read-ahead ends.
  struct Run {
    uint64_t begin = 0;
    uint64_t end = 0;
    uint64_t read = 0;
    uint64_t ahead = 0;
    uint64_t last_use = 0;
  };

  Run& run_of(ByteRange read);

  uint64_t max_window_;
  uint64_t clock_ = 0;
  std::array<Run, kRuns> runs_{};
};

}  // namespace erofs_oci
