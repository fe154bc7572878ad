// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "control/messages.h"

namespace erofs_oci {

/// "412.0 MiB of 1.2 GiB, 34 %, 95.1 MiB/s, 8 s left"; what is not known yet is left out. `elapsed` is the
/// time in which `progress.done` bytes went by, but for `before`, which were there at its beginning.
std::string describe(const OpenProgress& progress, std::chrono::duration<double> elapsed,
                     uint64_t before = 0);

/// "NAME: TEXT" in at most so many columns: a name that is too long loses its beginning, since the text changes and what
/// ends a name tells most.
std::string fit_line(const std::string& name, const std::string& text, size_t columns);

/// Shows how long work goes on: on a terminal one line that changes, else a line when the stage does, and
/// each ten seconds; and to the service manager, for systemctl status, where there is one. One thread at a
/// time.
class ProgressDisplay {
 public:
  /// `name` begins each line: the mount, or what is indexed.
  explicit ProgressDisplay(std::string name);
  /// Clears the line, here and there.
  ~ProgressDisplay();
  ProgressDisplay(const ProgressDisplay&) = delete;
  ProgressDisplay& operator=(const ProgressDisplay&) = delete;

  void show(const OpenProgress& progress);

 private:
  using Clock = std::chrono::steady_clock;

  void draw(const std::string& line);

  const std::string name_;
  const bool terminal_;
  std::string stage_;
  Clock::time_point stage_begin_;
  uint64_t done_before_ = 0;
  Clock::time_point next_status_;
  Clock::time_point next_line_;
  bool drawn_ = false;
};

}  // namespace erofs_oci
