// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

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
  /// What to serve on: a socket, and the reading and the writing end of a pipe for the replies.
  std::vector<UniqueFd> take_server_fds() { return std::move(server_fds_); }
  /// Keeps the device.
  void release() { netlink_ = nullptr; }

 private:
  ConnectedDevice(Netlink& netlink, std::vector<UniqueFd> server_fds, KernelDevice device,
                  std::string identifier);

  Netlink* netlink_;  // null: released
  std::vector<UniqueFd> server_fds_;
  KernelDevice device_;
  std::string identifier_;
};

/// Gives device `index`, whose server died, a new connection, and gives what to serve on, as take_server_fds(). Reads that
/// wait go on. The daemon has shut the old connection down; until the kernel has noticed, this tries again.
/// Error unavailable after `deadline`, invalid where the device was connected under another identifier.
std::vector<UniqueFd> reattach(Netlink& netlink, int index, const std::string& identifier,
                               std::chrono::steady_clock::time_point deadline);

}  // namespace erofs_oci::nbd
