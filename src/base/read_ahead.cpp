// SPDX-License-Identifier: Apache-2.0
#include "base/read_ahead.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/sysmacros.h>

#include "base/file.h"

namespace erofs_oci {

void set_read_ahead(dev_t device, uint64_t size_bytes) {
  const auto knob = fmt::format("/sys/class/bdi/{}:{}/read_ahead_kb", major(device), minor(device));
  write_all(open_file(knob, O_WRONLY).get(), as_bytes(std::to_string(size_bytes / kKiB)), knob);
}

}  // namespace erofs_oci
