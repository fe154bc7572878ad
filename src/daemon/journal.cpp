// SPDX-License-Identifier: Apache-2.0
#include "daemon/journal.h"

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "base/log.h"

namespace erofs_oci {
namespace {

void send(LogLevel level, std::string_view message, const LogFields& fields) {
  std::vector<std::string> lines{fmt::format("MESSAGE={}", message),
                                 fmt::format("PRIORITY={}", static_cast<int>(level)),
                                 "SYSLOG_IDENTIFIER=erofs-ocid"};
  for (const auto& [name, value] : fields) lines.push_back(fmt::format("{}={}", name, value));
  std::vector<iovec> vectors;
  for (std::string& line : lines) vectors.push_back({line.data(), line.size()});
  if (::sd_journal_sendv(vectors.data(), static_cast<int>(vectors.size())) == 0) return;
  // Without its fields rather than not at all; a lost log line is nothing to die for.
  const std::string line = fmt::format("<{}>{}\n", static_cast<int>(level), message);
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace

void log_to_journal() {
  if (::getenv("JOURNAL_STREAM") != nullptr) set_log_sink(send);
}

}  // namespace erofs_oci
