// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/unique_fd.h"
#include "config/definition.h"
#include "control/mount_state.h"
#include "mount/erofs_mount.h"

namespace erofs_oci {

/// The kernel's part of a mount: what carries reads from EROFS to the daemon. Undone when dropped, unless released.
/// Needs CAP_SYS_ADMIN. One thread at a time.
class KernelTransport {
 public:
  virtual ~KernelTransport() = default;

  virtual TransportKind kind() const = 0;
  /// The descriptors for the daemon; they are its own after Serve, and no copy stays here.
  virtual std::vector<UniqueFd> take_daemon_fds() = 0;
  /// Waits until the served device can be read, and sets its queue.
  virtual void wait_until_ready() = 0;
  virtual ScopedMount mount(MountRequest request) = 0;
  /// The number of the nbd device, for the state.
  virtual std::optional<uint32_t> nbd_index() const { return std::nullopt; }
  virtual void release() = 0;
  /// Fails the reads that the functions above wait for in the kernel, where no signal reaches them: the daemon answers none.
  /// On any thread.
  virtual void give_up() = 0;
};

/// Makes the transport that the definition asks for: "auto" takes nbd where the kernel has it, else fuse. `state` has
/// generation, size and block size. Error unsupported, with the remedy, where the host can do none.
std::unique_ptr<KernelTransport> make_kernel_transport(const MountState& state);

/// Makes the kernel go on with a new daemon: what to hand to it. For fuse that is nothing, since the service manager
/// keeps the connection.
std::vector<UniqueFd> reconnect_kernel_transport(const MountState& state);

}  // namespace erofs_oci
