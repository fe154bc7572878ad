// SPDX-License-Identifier: Apache-2.0
#include "cli/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>

#include "base/log.h"
#include "base/text.h"
#include "cli/notify.h"

namespace erofs_oci {
namespace {

constexpr std::chrono::seconds kStatusPeriod{1};
constexpr std::chrono::seconds kLinePeriod{10};
/// A rate of less time than this is a guess.
constexpr std::chrono::duration<double> kRateAfter{0.5};
constexpr size_t kDefaultColumns = 80;
constexpr size_t kLeastOfName = 8;

/// Of the terminal, without the last one: a cursor behind it would be in the next line.
size_t usable_columns() {
  winsize size{};
  const bool known = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col != 0;
  return (known ? size.ws_col : kDefaultColumns) - 1;
}

std::string time_left(double seconds) {
  const auto whole = static_cast<uint64_t>(std::ceil(seconds));
  return whole < 120 ? fmt::format("{} s", whole) : fmt::format("{} min", (whole + 59) / 60);
}

}  // namespace

std::string describe(const OpenProgress& progress, std::chrono::duration<double> elapsed, uint64_t before) {
  if (progress.total == 0) return "";
  std::string text = fmt::format("{} of {}, {} %", human_size(progress.done), human_size(progress.total),
                                 static_cast<uint64_t>(100.0 * static_cast<double>(progress.done) /
                                                       static_cast<double>(progress.total)));
  if (elapsed < kRateAfter || progress.done <= before || progress.done >= progress.total) return text;
  const double rate = static_cast<double>(progress.done - before) / elapsed.count();
  return text + fmt::format(", {}/s, {} left", human_size(static_cast<uint64_t>(rate)),
                            time_left(static_cast<double>(progress.total - progress.done) / rate));
}

std::string fit_line(const std::string& name, const std::string& text, size_t columns) {
  const size_t taken = text.size() + 2;
  if (name.size() + taken <= columns) return name + ": " + text;
  if (taken + kLeastOfName > columns) return text.substr(0, columns);
  size_t from = name.size() - (columns - taken - 1);
  while (from < name.size() && (static_cast<unsigned char>(name[from]) & 0xc0) == 0x80) ++from;  // UTF-8 goes on
  return "…" + name.substr(from) + ": " + text;
}

ProgressDisplay::ProgressDisplay(std::string name)
    : name_(std::move(name)), terminal_(::isatty(STDERR_FILENO) == 1) {}

ProgressDisplay::~ProgressDisplay() {
  if (drawn_) draw("");
  if (!stage_.empty()) notify_status("");
}

void ProgressDisplay::show(const OpenProgress& progress) {
  const auto now = Clock::now();
  const bool fresh = progress.stage != stage_;
  if (fresh) {
    stage_ = progress.stage;
    stage_begin_ = next_status_ = now;
    done_before_ = progress.done;
    next_line_ = now + kLinePeriod;
    if (!terminal_) logf(LogLevel::info, "{}: {}", name_, stage_);
  }
  const std::string figures = describe(progress, now - stage_begin_, done_before_);
  const std::string line = figures.empty() ? stage_ : stage_ + ": " + figures;
  if (terminal_) {
    draw(fit_line(name_, line, usable_columns()));
  } else if (!figures.empty() && now >= next_line_) {
    next_line_ = now + kLinePeriod;
    logf(LogLevel::info, "{}: {}", name_, line);
  }
  if (now < next_status_) return;
  next_status_ = now + kStatusPeriod;
  notify_status(line);
}

void ProgressDisplay::draw(const std::string& line) {
  fmt::print(stderr, "\r\x1b[K{}", line);
  std::fflush(stderr);
  drawn_ = !line.empty();
}

}  // namespace erofs_oci
