// SPDX-License-Identifier: Apache-2.0
#include "mount/loop_device.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>

#include "base/error.h"
#include "base/file.h"

namespace erofs_oci {
namespace {

/// Others look for a free device at the same time; each try loses to at most one of them.
constexpr int kMaxTries = 64;

/// The node exists before the driver, which is loaded when it is opened. Empty where there is none.
UniqueFd open_control() {
  UniqueFd control(::open("/dev/loop-control", O_RDWR | O_CLOEXEC));
  if (!control && errno != ENOENT && errno != ENODEV && errno != ENXIO)
    throw errno_error("/dev/loop-control");
  return control;
}

}  // namespace

std::optional<LoopDevice> LoopDevice::attach(int file, unsigned block_size) {
  const UniqueFd control = open_control();
  if (!control) return std::nullopt;
  loop_config config{};
  config.fd = static_cast<uint32_t>(file);
  config.block_size = block_size;
  config.info.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO;
  for (int i = 0; i < kMaxTries; ++i) {
    const int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
    if (number < 0) throw errno_error("looking for a free loop device");
    const std::string path = fmt::format("/dev/loop{}", number);
    UniqueFd device = open_file(path, O_RDONLY);
    if (::ioctl(device.get(), LOOP_CONFIGURE, &config) == 0) return LoopDevice(std::move(device), path);
    if (errno != EBUSY) throw errno_error("setting up {}", path);
  }
  throw Error(ErrorKind::busy, "no loop device stays free long enough to be set up");
}

}  // namespace erofs_oci
