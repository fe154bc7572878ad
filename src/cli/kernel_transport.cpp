// SPDX-License-Identifier: Apache-2.0
#include "cli/kernel_transport.h"

#include "base/error.h"
#include "base/log.h"
#include "fuse/fuse_file.h"
#include "nbd/connected_device.h"
#include "nbd/kernel_device.h"
#include "nbd/netlink.h"

namespace erofs_oci {
namespace {

using Clock = std::chrono::steady_clock;

// The queue's settings were measured: nbd/README.md, "The queue".
constexpr uint64_t kMaxRequest = 1 * kMiB;
/// How soon a request that was in flight at a crash is sent again, where the connection was lost with the daemon; also the
/// period of the kernel's messages about slow requests, one each: while a source is away, two mounts have it say 48 a minute.
constexpr std::chrono::seconds kIoTimeout{30};
constexpr uint64_t kRequests = 12;
/// How long reads wait for a new daemon before they fail: longer than any restart, shorter than an admin's patience.
constexpr std::chrono::seconds kDeadConnectionTimeout{600};
constexpr std::chrono::seconds kReadyLimit{60};
constexpr std::chrono::seconds kReattachLimit{30};

nbd::QueueSettings queue_settings(const MountState& state) {
  return {kIoTimeout, state.definition.io.read_ahead, kMaxRequest, kRequests};
}

std::vector<UniqueFd> only(UniqueFd fd) {
  std::vector<UniqueFd> fds;
  fds.push_back(std::move(fd));
  return fds;
}

class NbdKernelTransport : public KernelTransport {
 public:
  NbdKernelTransport(const MountState& state, std::unique_ptr<nbd::Netlink> netlink)
      : state_(state),
        netlink_(std::move(netlink)),
        device_(nbd::ConnectedDevice::connect(
            *netlink_, {state.size_bytes, state.block_size, state.identifier(), kDeadConnectionTimeout})) {}

  TransportKind kind() const override { return TransportKind::nbd; }
  std::vector<UniqueFd> take_daemon_fds() override { return device_.take_server_fds(); }
  void wait_until_ready() override {
    device_.device().wait_until_ready(state_.size_bytes, Clock::now() + kReadyLimit);
    device_.device().set_queue(queue_settings(state_));
  }
  ScopedMount mount(MountRequest request) override {
    request.source = device_.device().path();
    return mount_erofs(request);
  }
  std::optional<uint32_t> nbd_index() const override { return static_cast<uint32_t>(device_.device().index()); }
  void release() override { device_.release(); }
  void give_up() override { nbd::Netlink().disconnect(device_.device().index(), state_.identifier()); }

 private:
  const MountState& state_;
  std::unique_ptr<nbd::Netlink> netlink_;  // outlives the device
  nbd::ConnectedDevice device_;
};

class FuseKernelTransport : public KernelTransport {
 public:
  explicit FuseKernelTransport(const MountState& state) : state_(state), file_(state.identifier()) {}

  TransportKind kind() const override { return TransportKind::fuse; }
  std::vector<UniqueFd> take_daemon_fds() override { return only(file_.take_connection()); }
  void wait_until_ready() override { opened_ = file_.open(); }
  ScopedMount mount(MountRequest request) override {
    request.read_ahead = state_.definition.io.read_ahead;
    return mount_erofs_file(opened_.get(), state_.block_size, std::move(request));
  }
  void release() override {}  // the mount holds the file, and the file the connection
  void give_up() override { file_.abort(); }

 private:
  const MountState& state_;
  fuse::FuseFile file_;
  UniqueFd opened_;
};

/// The netlink of the nbd driver; null where the kernel has none and the definition leaves the choice to us.
std::unique_ptr<nbd::Netlink> open_nbd(TransportChoice choice) {
  if (choice == TransportChoice::fuse) return nullptr;
  try {
    return std::make_unique<nbd::Netlink>();
  } catch (const Error& error) {
    if (choice == TransportChoice::nbd || error.kind() != ErrorKind::unsupported) throw;
    return nullptr;
  }
}

}  // namespace

std::unique_ptr<KernelTransport> make_kernel_transport(const MountState& state) {
  const TransportChoice choice = state.definition.transport;
  if (auto netlink = open_nbd(choice)) return std::make_unique<NbdKernelTransport>(state, std::move(netlink));
  try {
    return std::make_unique<FuseKernelTransport>(state);
  } catch (const Error& error) {
    if (choice == TransportChoice::fuse) throw;
    throw make_error(error.kind(), "this kernel has no nbd driver, and fuse fails as well: {}; load the module nbd or fuse",
                     error.what());
  }
}

std::vector<UniqueFd> reconnect_kernel_transport(const MountState& state) {
  if (state.transport != TransportKind::nbd) return {};
  const auto device = nbd::KernelDevice::find(state.identifier());
  if (!device) throw Error(ErrorKind::not_found, "its nbd device is gone; unmount it and mount it again");
  nbd::Netlink netlink;
  // The queue keeps its settings; to write them would wait, in the kernel, for the reads that wait for us.
  return nbd::reattach(netlink, device->index(), state.identifier(), Clock::now() + kReattachLimit);
}

}  // namespace erofs_oci
