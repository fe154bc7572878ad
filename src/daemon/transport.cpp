// SPDX-License-Identifier: Apache-2.0
#include "daemon/transport.h"

#include <pthread.h>
#include <sys/socket.h>

#include <thread>

#include "base/error.h"
#include "base/log.h"
#include "fuse/server.h"
#include "nbd/transmission.h"

namespace erofs_oci {
namespace {

/// Runs `serve` on a thread; what it throws ends the transport in words.
std::jthread serving_thread(const char* name, TransportEnded ended, std::function<std::string()> serve) {
  return std::jthread([name, ended = std::move(ended), serve = std::move(serve)] {
    ::pthread_setname_np(::pthread_self(), name);
    std::string how;
    try {
      how = serve();
    } catch (const Error& error) {
      how = error.what();
    }
    if (ended) ended(how);
  });
}

std::string describe(nbd::EndReason reason) {
  switch (reason) {
    case nbd::EndReason::disconnected:
      return "the kernel disconnected the device";
    case nbd::EndReason::peer_closed:
      return "the kernel closed the connection";
    case nbd::EndReason::protocol_error:
      return "the kernel sent what is not a request";
    case nbd::EndReason::stopped:
      return "stopped";
  }
  return "ended";
}

class NbdTransport : public Transport {
 public:
  NbdTransport(UniqueFd socket, std::shared_ptr<BlockDevice> device, TransportEnded ended, Pulses* pulses)
      : transmission_(std::move(socket), std::move(device)),
        thread_(serving_thread("nbd", std::move(ended), [this, pulses] {
          return describe(transmission_.run(LoopPulse(pulses, "nbd")));
        })) {}
  ~NbdTransport() override { transmission_.stop(); }
  void stop(std::chrono::milliseconds drain) override { transmission_.stop(drain); }

 private:
  nbd::Transmission transmission_;
  std::jthread thread_;
};

class FuseTransport : public Transport {
 public:
  FuseTransport(UniqueFd connection, fuse::RequestTable table, std::shared_ptr<BlockDevice> device,
                TransportEnded ended, Pulses* pulses)
      : server_(std::move(connection), std::move(device), std::move(table)),
        thread_(serving_thread("fuse", std::move(ended), [this, pulses] {
          const auto end = server_.run(LoopPulse(pulses, "fuse"));
          return std::string(end == fuse::Server::End::stopped ? "stopped" : "the kernel closed the connection");
        })) {}
  ~FuseTransport() override { stop({}); }
  /// Reads that are still under way stay in the table for the successor.
  void stop(std::chrono::milliseconds) override {
    server_.stop();
    if (thread_.joinable()) thread_.join();
  }

 private:
  fuse::Server server_;
  std::jthread thread_;
};

}  // namespace

std::unique_ptr<Transport> serve_nbd(UniqueFd socket, std::shared_ptr<BlockDevice> device,
                                     TransportEnded ended, Pulses* pulses) {
  return std::make_unique<NbdTransport>(std::move(socket), std::move(device), std::move(ended), pulses);
}

std::unique_ptr<Transport> serve_fuse(UniqueFd connection, fuse::RequestTable table,
                                      std::shared_ptr<BlockDevice> device, TransportEnded ended,
                                      Pulses* pulses) {
  return std::make_unique<FuseTransport>(std::move(connection), std::move(table), std::move(device),
                                         std::move(ended), pulses);
}

}  // namespace erofs_oci
