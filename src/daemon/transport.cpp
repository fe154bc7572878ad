// SPDX-License-Identifier: Apache-2.0
#include "daemon/transport.h"

#include <pthread.h>

#include <thread>

#include "base/error.h"
#include "base/log.h"
#include "fuse/server.h"

namespace erofs_oci {
namespace {

/// Runs `serve` on a thread; what it throws ends the transport in words.
std::jthread serving_thread(const char* name, TransportEnded ended, std::function<TransportEnd()> serve) {
  return std::jthread([name, ended = std::move(ended), serve = std::move(serve)] {
    ::pthread_setname_np(::pthread_self(), name);
    TransportEnd end;
    try {
      end = serve();
    } catch (const Error& error) {
      end = {error.what(), true};
    }
    if (ended) ended(end);
  });
}

TransportEnd describe(nbd::Server::End end) {
  switch (end) {
    case nbd::Server::End::disconnected:
      return {"the kernel disconnected the device"};
    case nbd::Server::End::peer_closed:
      return {"the kernel closed the connection", true};
    case nbd::Server::End::protocol_error:
      return {"the kernel sent what is not a request", true};
    case nbd::Server::End::stopped:
      return {"stopped"};
  }
  return {"ended"};
}

/// The kernel closes it when nobody has the file any more.
TransportEnd describe(fuse::Server::End end) {
  return {end == fuse::Server::End::stopped ? "stopped" : "the kernel closed the connection"};
}

/// A server, of either kind, and its thread.
template <typename Server>
class ServerTransport : public Transport {
 public:
  template <typename... Parts>
  ServerTransport(const char* thread_name, TransportEnded ended, Pulses* pulses, Parts&&... parts)
      : server_(std::forward<Parts>(parts)...),
        thread_(serving_thread(thread_name, std::move(ended), [this, thread_name, pulses] {
          return describe(server_.run(LoopPulse(pulses, thread_name)));
        })) {}
  ~ServerTransport() override { stop(); }
  void stop() override {
    server_.stop();
    if (thread_.joinable()) thread_.join();
  }

 private:
  Server server_;
  std::jthread thread_;
};

}  // namespace

std::unique_ptr<Transport> serve_nbd(nbd::Connection connection, std::shared_ptr<BlockDevice> device,
                                     TransportEnded ended, ReadGivenUp given_up, Pulses* pulses) {
  return std::make_unique<ServerTransport<nbd::Server>>("nbd", std::move(ended), pulses, std::move(connection),
                                                        std::move(device), std::move(given_up));
}

std::unique_ptr<Transport> serve_fuse(UniqueFd connection, RequestTable table, std::shared_ptr<BlockDevice> device,
                                      TransportEnded ended, ReadGivenUp given_up, Pulses* pulses) {
  return std::make_unique<ServerTransport<fuse::Server>>("fuse", std::move(ended), pulses, std::move(connection),
                                                         std::move(device), std::move(table), std::move(given_up));
}

}  // namespace erofs_oci
