// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/unique_fd.h"

struct nl_msg;
struct nl_sock;
struct nlmsghdr;

namespace erofs_oci::nbd {

/// What the kernel is told of a device.
struct DeviceSettings {
  uint64_t size_bytes = 0;
  uint32_t block_size = 4096;  ///< 512 to the page size
  /// Shown in /sys/block/nbdN/backend; reconnecting takes the same again.
  std::string identifier;
  /// How long reads wait for a new connection after the old one died, before they fail.
  std::chrono::seconds dead_connection_timeout{};
};

/// The kernel's nbd driver over generic netlink (linux/nbd-netlink.h, drivers/block/nbd.c). A device has one
/// connection and no time limit for a request: with either more the kernel gives up servers that are merely
/// slow. Commands may block while the driver waits for I/O; errors carry the kernel's errno. One thread at a
/// time; needs CAP_SYS_ADMIN.
class Netlink {
 public:
  using Deadline = std::chrono::steady_clock::time_point;

  /// Loads the driver where it is missing. Error unsupported where there is none.
  Netlink();
  Netlink(const Netlink&) = delete;
  Netlink& operator=(const Netlink&) = delete;
  ~Netlink();

  /// Makes a device, read-only, that sends its requests to `socket`, a connected stream socket; gives its
  /// number. The caller's copy of `socket` is to be closed then, since it would hide the device's death from
  /// the server.
  int connect(int socket, const DeviceSettings& settings);

  /// Gives device `index` a new connection in place of one that died. The kernel drops `socket` without a
  /// word where it has not noticed yet that the old one is dead; see reattach(). Error invalid where
  /// `identifier` is not the device's.
  void reconfigure(int index, int socket, const std::string& identifier);

  /// Ends device `index`, in use or not; done when this returns. One that is not connected, or was connected
  /// under another identifier, is left alone: the kernel gives a number again as soon as its device has
  /// ended.
  void disconnect(int index, const std::string& identifier);

  /// Whether device `index` has a configuration, be its connection alive or not.
  bool is_configured(int index);

  /// Waits until the kernel reports that a connection of device `index` died; false where none did until
  /// `deadline`. Sees what happened since this object was made.
  bool wait_for_dead_link(int index, Deadline deadline);

 private:
  struct Free {
    void operator()(nl_sock* socket) const;
    void operator()(nl_msg* message) const;
  };
  using Socket = std::unique_ptr<nl_sock, Free>;
  using Message = std::unique_ptr<nl_msg, Free>;
  using OnReply = std::function<void(nlmsghdr*)>;

  static Socket open_socket();
  Message new_message(uint8_t command) const;
  void subscribe();
  void transact(Message message, const std::string& what, const OnReply& on_reply = {});

  Socket commands_;
  Socket events_;
  int family_;
};

}  // namespace erofs_oci::nbd
