// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>
#include <utility>

#include "base/unique_fd.h"
#include "nbd/kernel_device.h"
#include "nbd/netlink.h"

namespace erofs_oci::nbd {

/// A fresh device and the server's end of its connection; disconnected by the destructor unless release() was
/// called. One thread at a time.
class ConnectedDevice {
 public:
  /// Makes a socket pair and a device on it. `netlink` must outlive the object.
  static ConnectedDevice connect(Netlink& netlink, const DeviceSettings& settings);
  ConnectedDevice(ConnectedDevice&& other) noexcept;
  ConnectedDevice& operator=(ConnectedDevice&&) = delete;
  ~ConnectedDevice();

  const KernelDevice& device() const { return device_; }
  /// The socket to serve on.
  UniqueFd take_server_end() { return std::move(server_end_); }
  /// Keeps the device.
  void release() { netlink_ = nullptr; }

 private:
  ConnectedDevice(Netlink& netlink, UniqueFd server_end, KernelDevice device);

  Netlink* netlink_;  // null: released
  UniqueFd server_end_;
  KernelDevice device_;
};

/// Gives device `index`, whose server died, a new connection, and gives the server's end of it. Reads that
/// wait go on. The caller has shut the old connection down; until the kernel has noticed, this tries again.
/// Error unavailable after `deadline`, invalid where the device was connected under another identifier.
UniqueFd reattach(Netlink& netlink, int index, const std::string& identifier,
                  std::chrono::steady_clock::time_point deadline);

}  // namespace erofs_oci::nbd
