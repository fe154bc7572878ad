// SPDX-License-Identifier: Apache-2.0
#include "source/sequential_readers.h"

#include <algorithm>

namespace erofs_oci {

SequentialReaders::Run& SequentialReaders::run_of(ByteRange read) {
  for (Run& run : runs_) {
    if (run.last_use != 0 && read.offset + kSlack >= run.end && read.offset <= run.end + kSlack) return run;
  }
  Run& idle = *std::min_element(runs_.begin(), runs_.end(),
                                [](const Run& a, const Run& b) { return a.last_use < b.last_use; });
  idle = {read.offset, read.offset, 0, read.offset, 0};
  return idle;
}

ByteRange SequentialReaders::note(ByteRange read, uint64_t awaited) {
  Run& run = run_of(read);
  run.last_use = ++clock_;
  run.end = std::max(run.end, read.end());
  const uint64_t length = run.end - run.begin;
  run.read = std::min(run.read + read.length, length);
  const bool dense = run.read * 2 >= length;
  if (!dense) {
    // What comes from here on is judged by itself.
    run = {read.offset, run.end, read.length, std::max(run.ahead, run.end), run.last_use};
    return {};
  }
  run.ahead = std::max(run.ahead, run.end);
  if (length < kShortRun) return {};
  uint64_t window = std::min(max_window_, length / 2);
  window -= std::min(window, awaited);
  // In pieces of half a window, so that neighbours are asked for together.
  if (run.ahead - run.end > window / 2) return {};
  const ByteRange next = ByteRange::from_to(run.ahead, run.end + window);
  run.ahead = next.end();
  return next;
}

}  // namespace erofs_oci
