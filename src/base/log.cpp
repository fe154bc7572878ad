// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <memory>

namespace erofs_oci {
namespace {

void log_to_stderr(LogLevel level, std::string_view message, const LogFields&) {
  static const bool to_journal = ::getenv("JOURNAL_STREAM") != nullptr;
  const std::string line = to_journal ? fmt::format("<{}>{}\n", static_cast<int>(level), message)
                                      : fmt::format("{}\n", message);
  // One write a line, so that threads do not interleave; a lost log line is nothing to die for.
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

std::atomic<int> g_level{static_cast<int>(LogLevel::info)};

LogSink& sink() {
  static LogSink instance = log_to_stderr;
  return instance;
}

}  // namespace

void set_log_sink(LogSink new_sink) { sink() = std::move(new_sink); }
void set_log_level(LogLevel level) { g_level = static_cast<int>(level); }
bool log_enabled(LogLevel level) { return static_cast<int>(level) <= g_level.load(std::memory_order_relaxed); }

void log(LogLevel level, std::string_view message, const LogFields& fields) {
  if (log_enabled(level)) sink()(level, message, fields);
}

}  // namespace erofs_oci
