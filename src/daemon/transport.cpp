// SPDX-License-Identifier: Apache-2.0
#include "daemon/transport.h"

#include <pthread.h>

#include <cstdlib>
#include <thread>

#include "base/error.h"
#include "base/log.h"
#include "fuse/server.h"

namespace erofs_oci {
namespace {

/// Runs `serve` on a thread, and tells how it ended.
std::jthread serving_thread(const char* name, TransportEnded ended, std::function<TransportEnd()> serve) {
  return std::jthread([name, ended = std::move(ended), serve = std::move(serve)] {
    ::pthread_setname_np(::pthread_self(), name);
    const TransportEnd end = serve();
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

/// What becomes of a connection that a server failed on.
using Fault = std::function<TransportEnd(const Error& error)>;

/// Over nbd the server has shut it down, and the device is given another one.
TransportEnd lose_connection(const Error& error) {
  return {error.what(), true};
}

/// Over fuse there is no other one, and readers would wait on this one as long as the service manager has a
/// copy. Closing that, too, would fail them. But the next daemon can go on with it, so this is a fault of the
/// whole daemon like a failed assertion, and put down to what is being read: a read that causes it fails in
/// the end.
[[noreturn]] TransportEnd end_daemon(const std::string& name, const Error& error) {
  logf(LogLevel::error, "{}: serving it over fuse: {}; the daemon ends, so that the next one goes on with it",
       name, error.what());
  std::abort();
}

/// A server, of either kind, and its thread.
template <typename Server>
class ServerTransport : public Transport {
 public:
  template <typename... Parts>
  ServerTransport(const char* thread_name, TransportEnded ended, Fault fault, Pulses* pulses,
                  Parts&&... parts)
      : server_(std::forward<Parts>(parts)...),
        thread_(serving_thread(thread_name, std::move(ended),
                               [this, thread_name, fault = std::move(fault), pulses] {
                                 try {
                                   return describe(server_.run(LoopPulse(pulses, thread_name)));
                                 } catch (const Error& error) {
                                   return fault(error);
                                 }
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
  return std::make_unique<ServerTransport<nbd::Server>>("nbd", std::move(ended), lose_connection, pulses,
                                                        std::move(connection), std::move(device),
                                                        std::move(given_up));
}

std::unique_ptr<Transport> serve_fuse(UniqueFd connection, RequestTable table, const std::string& name,
                                      std::shared_ptr<BlockDevice> device, TransportEnded ended,
                                      ReadGivenUp given_up, Pulses* pulses) {
  const auto fault = [name](const Error& error) -> TransportEnd { end_daemon(name, error); };
  return std::make_unique<ServerTransport<fuse::Server>>("fuse", std::move(ended), fault, pulses,
                                                         std::move(connection), std::move(device),
                                                         std::move(table), std::move(given_up));
}

}  // namespace erofs_oci
