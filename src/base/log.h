// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace erofs_oci {

/// Numbered as in syslog(3), so that a sink can pass them on.
enum class LogLevel { error = 3, warning = 4, notice = 5, info = 6, debug = 7 };

/// A journal field beside the message: MOUNT, LAYER, SPAN, MESSAGE_ID.
using LogField = std::pair<std::string_view, std::string>;
using LogFields = std::vector<LogField>;

/// Receives every message at or below the level in force; must be thread-safe.
using LogSink = std::function<void(LogLevel, std::string_view message, const LogFields& fields)>;

/// Replaces the sink (stderr with syslog's "<N>" prefixes where JOURNAL_STREAM is set). Call before threads start.
void set_log_sink(LogSink sink);
void set_log_level(LogLevel level);
bool log_enabled(LogLevel level);

/// Only the four edges log above debug: a block request, a control request, a thread's entry, main.
void log(LogLevel level, std::string_view message, const LogFields& fields = {});

template <typename... Args>
void logf(LogLevel level, fmt::format_string<Args...> format, Args&&... args) {
  if (log_enabled(level)) log(level, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace erofs_oci
