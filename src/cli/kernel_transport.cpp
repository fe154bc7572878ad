// SPDX-License-Identifier: Apache-2.0
#include "cli/kernel_transport.h"

#include "base/error.h"
#include "base/log.h"
#include "fuse/fuse_file.h"

namespace erofs_oci {
namespace {

/// Sequential readers of a tree of small files profit up to here; larger windows fetch what nobody reads.
constexpr uint64_t kDefaultReadAhead = 1 * kMiB;

uint64_t read_ahead(const MountState& state) { return state.definition.io.read_ahead.value_or(kDefaultReadAhead); }

class FuseKernelTransport : public KernelTransport {
 public:
  explicit FuseKernelTransport(const MountState& state) : state_(state), file_(state.identifier()) {}

  TransportKind kind() const override { return TransportKind::fuse; }
  std::vector<UniqueFd> take_daemon_fds() override {
    std::vector<UniqueFd> fds;
    fds.push_back(file_.take_connection());
    return fds;
  }
  void wait_until_ready() override {
    opened_ = file_.open();
    file_.set_read_ahead(read_ahead(state_));
  }
  ScopedMount mount(MountRequest request) override {
    return mount_erofs_file(opened_.get(), state_.block_size, std::move(request));
  }
  void release() override {}  // the mount holds the file, and the file the connection

 private:
  const MountState& state_;
  fuse::FuseFile file_;
  UniqueFd opened_;
};

}  // namespace

std::unique_ptr<KernelTransport> make_kernel_transport(const MountState& state) {
  return std::make_unique<FuseKernelTransport>(state);
}

std::vector<UniqueFd> reconnect_kernel_transport(const MountState&) {
  return {};
}

}  // namespace erofs_oci
