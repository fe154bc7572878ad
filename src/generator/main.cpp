// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <unistd.h>

#include <exception>

#include "base/file.h"
#include "base/log.h"
#include "base/real_path.h"
#include "base/unique_fd.h"
#include "config/definition_file.h"
#include "generator/generator.h"

using namespace erofs_oci;

namespace {

/// At boot a generator runs before the journal: only the kernel's log is there.
void log_to_kernel(LogLevel level, std::string_view message, const LogFields&) {
  const UniqueFd kernel(::open("/dev/kmsg", O_WRONLY | O_CLOEXEC | O_NOCTTY));
  // One record is at most a kilobyte.
  const std::string line = fmt::format("<{}>erofs-oci-generator[{}]: {:.900}\n", 24 | static_cast<int>(level),
                                       ::getpid(), message);
  // A lost log line is nothing to die for.
  [[maybe_unused]] const ssize_t written =
      ::write(kernel ? kernel.get() : STDERR_FILENO, line.data(), line.size());
}

}  // namespace

int main(int argc, char** argv) {
  set_log_sink(log_to_kernel);
  if (argc != 2 && argc != 4) {
    log(LogLevel::error, "takes the folders that systemd gives to generators; see systemd.generator(7)");
    return 2;
  }
  try {
    return run_generator(kDefinitionDirectory, argv[1], current_mount_points()) ? 0 : 1;
  } catch (const std::exception& error) {
    log(LogLevel::error, error.what());
    return 1;
  }
}
