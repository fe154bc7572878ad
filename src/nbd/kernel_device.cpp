// SPDX-License-Identifier: Apache-2.0
#include "nbd/kernel_device.h"

#include <fcntl.h>

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace erofs_oci::nbd {
namespace {

namespace fs = std::filesystem;

constexpr const char* kBlockDevices = "/sys/block";
constexpr uint64_t kMaxAttributeBytes = 4096;  // a page, as sysfs has it
constexpr uint64_t kSectorBytes = 512;         // in /sys/block, whatever the device's blocks
constexpr auto kPollInterval = std::chrono::milliseconds(2);

/// The text of a sysfs file without its newline; nullopt where it is not there, or vanishes while it is being
/// read.
std::optional<std::string> read_attribute(const std::string& path) {
  try {
    std::string text = read_text_file(path, kMaxAttributeBytes);
    while (text.ends_with('\n')) text.pop_back();
    return text;
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::not_found) return std::nullopt;
    throw;
  }
}

std::optional<uint64_t> read_number(const std::string& path) {
  const auto text = read_attribute(path);
  return text ? parse_u64(*text) : std::nullopt;
}

void write_number(const std::string& path, uint64_t value) {
  write_all(open_file(path, O_WRONLY).get(), as_bytes(std::to_string(value)), path);
}

std::optional<int> index_of(const fs::path& block_device) {
  constexpr std::string_view kPrefix = "nbd";
  const std::string name = block_device.filename();
  if (!name.starts_with(kPrefix)) return std::nullopt;
  const auto index = parse_u64(std::string_view(name).substr(kPrefix.size()));
  return index ? std::optional(static_cast<int>(*index)) : std::nullopt;
}

}  // namespace

std::optional<KernelDevice> KernelDevice::find(const std::string& identifier) {
  for (const KernelDevice& device : find_all(identifier)) {
    if (device.identifier() == identifier) return device;
  }
  return std::nullopt;
}

std::vector<KernelDevice> KernelDevice::find_all(const std::string& prefix) {
  std::vector<KernelDevice> devices;
  std::error_code error;
  for (fs::directory_iterator entry(kBlockDevices, error), end; !error && entry != end;
       entry.increment(error)) {
    const auto index = index_of(entry->path());
    if (!index) continue;
    const KernelDevice device(*index);
    if (const auto identifier = device.identifier(); identifier && identifier->starts_with(prefix))
      devices.push_back(device);
  }
  if (error) throw system_error(error.value(), kBlockDevices);
  return devices;
}

std::string KernelDevice::path() const {
  return fmt::format("/dev/nbd{}", index_);
}

std::string KernelDevice::sysfs(const std::string& name) const {
  return fmt::format("/sys/block/nbd{}/{}", index_, name);
}

std::optional<std::string> KernelDevice::identifier() const {
  return read_attribute(sysfs("backend"));
}

std::optional<uint64_t> KernelDevice::pid() const {
  return read_number(sysfs("pid"));
}

void KernelDevice::wait_until_ready(uint64_t size_bytes,
                                    std::chrono::steady_clock::time_point deadline) const {
  for (;;) {
    if (pid() && read_number(sysfs("size")) == size_bytes / kSectorBytes) {
      const UniqueFd fd(::open(path().c_str(), O_RDONLY | O_CLOEXEC));
      if (fd) return;
    }
    if (std::chrono::steady_clock::now() >= deadline) {
      throw make_error(ErrorKind::unavailable, "{} did not get ready in time", path());
    }
    std::this_thread::sleep_for(kPollInterval);
  }
}

void KernelDevice::set_queue(const QueueSettings& settings) const {
  write_number(sysfs("queue/io_timeout"), static_cast<uint64_t>(settings.io_timeout.count()));
  write_number(sysfs("queue/read_ahead_kb"), settings.read_ahead_bytes / kKiB);
  const uint64_t limit_kb = read_number(sysfs("queue/max_hw_sectors_kb")).value_or(0);
  write_number(sysfs("queue/max_sectors_kb"), std::min(settings.max_request_bytes / kKiB, limit_kb));
  write_number(sysfs("queue/nr_requests"), settings.requests);
}

bool KernelDevice::is_in_use() const {
  // Filesystems and device-mapper claim a device, and one claim excludes another (open(2), O_EXCL on block
  // devices).
  const UniqueFd fd(::open(path().c_str(), O_RDONLY | O_EXCL | O_CLOEXEC));
  if (!fd && errno == EBUSY) return true;
  if (!fd && errno != ENOENT && errno != ENXIO) throw errno_error("{}", path());
  return false;
}

bool KernelDevice::is_claimed() const {
  // A superblock is listed for as long as it lives (Documentation/ABI/testing/sysfs-fs-erofs), mounted
  // anywhere or held open.
  std::error_code error;
  if (fs::exists(fmt::format("/sys/fs/erofs/nbd{}", index_), error)) return true;
  return fs::directory_iterator(sysfs("holders"), error) != fs::directory_iterator();
}

}  // namespace erofs_oci::nbd
