// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace erofs_oci::nbd {

/// How the block layer treats a device; the kernel resets or keeps each of these at a connect as it likes, so
/// all are to be set after it.
struct QueueSettings {
  /// How long a request that was in flight when the server died waits before it is sent again, and how often
  /// the kernel logs one that takes long.
  std::chrono::milliseconds io_timeout{};
  uint64_t read_ahead_bytes = 0;
  /// The largest request, cut to what the driver can.
  uint64_t max_request_bytes = 0;
  /// How many requests are under way at a time, at most.
  uint64_t requests = 0;
};

/// The device /dev/nbdN, as seen in sysfs. Thread-safe: it is a number.
class KernelDevice {
 public:
  explicit KernelDevice(int index) : index_(index) {}

  /// The device that was connected under `identifier`; nullopt where there is none.
  static std::optional<KernelDevice> find(const std::string& identifier);

  /// Those that are connected under an identifier that begins with `prefix`.
  static std::vector<KernelDevice> find_all(const std::string& prefix);

  int index() const { return index_; }
  /// "/dev/nbd3"
  std::string path() const;

  /// The identifier it was connected under; nullopt where it is not connected.
  std::optional<std::string> identifier() const;
  /// The process that connected it; nullopt where it is not connected.
  std::optional<uint64_t> pid() const;

  /// Waits until the device is connected, has `size_bytes` and can be opened, upon which the kernel reads its
  /// first bytes. Error unavailable after `deadline`.
  void wait_until_ready(uint64_t size_bytes, std::chrono::steady_clock::time_point deadline) const;

  void set_queue(const QueueSettings& settings) const;

  /// Whether a filesystem or a device-mapper target uses it, in whatever mount namespace. Opens it, which may
  /// wait for its server.
  bool is_in_use() const;
  /// Likewise, by what sysfs says of EROFS and device-mapper, so that no server is needed. Kernels
  /// before 5.16 say nothing of EROFS.
  bool is_claimed() const;

 private:
  std::string sysfs(const std::string& name) const;

  int index_;
};

}  // namespace erofs_oci::nbd
