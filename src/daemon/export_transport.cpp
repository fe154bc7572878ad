// SPDX-License-Identifier: Apache-2.0
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <list>
#include <thread>

#include "base/error.h"
#include "base/log.h"
#include "base/mutex.h"
#include "daemon/transport.h"
#include "nbd/handshake.h"
#include "nbd/transmission.h"

namespace erofs_oci {
namespace {

constexpr size_t kMaxClients = 64;
constexpr std::chrono::seconds kHandshakeLimit{10};

/// One client: its handshake, then its transmission.
class Client {
 public:
  Client(UniqueFd socket, const nbd::ExportInfo& info, std::shared_ptr<BlockDevice> device)
      : socket_(std::move(socket)), thread_([this, info, device = std::move(device)] {
          ::pthread_setname_np(::pthread_self(), "export");
          serve(info, device);
          stop();  // the peer sees the end now, not when the next client comes
          finished_ = true;
        }) {}
  ~Client() { stop(); }

  bool finished() const { return finished_; }
  void stop() {
    MutexLock lock(mutex_);
    stopped_ = true;
    if (transmission_) transmission_->stop();
    if (socket_) ::shutdown(socket_.get(), SHUT_RDWR);
  }

 private:
  void serve(const nbd::ExportInfo& info, const std::shared_ptr<BlockDevice>& device) {
    try {
      const auto agreed = nbd::negotiate(socket_.get(), info, kHandshakeLimit);
      if (agreed && begin(device, agreed->structured_replies)) transmission_->run();
    } catch (const Error& error) {
      logf(LogLevel::warning, "{}: export client: {}", info.name, error.what());
    }
  }
  bool begin(const std::shared_ptr<BlockDevice>& device, bool structured) {
    MutexLock lock(mutex_);
    if (!stopped_)
      transmission_ = std::make_unique<nbd::Transmission>(std::move(socket_), device, structured);
    return !stopped_;
  }

  Mutex mutex_;
  bool stopped_ GUARDED_BY(mutex_) = false;
  UniqueFd socket_;                                  // the thread's own once it serves; changed under mutex_
  std::unique_ptr<nbd::Transmission> transmission_;  // set once under mutex_
  std::atomic<bool> finished_{false};
  std::jthread thread_;
};

class ExportTransport : public Transport {
 public:
  ExportTransport(UniqueFd listener, std::string name, std::shared_ptr<BlockDevice> device)
      : listener_(std::move(listener)),
        stop_(::eventfd(0, EFD_CLOEXEC)),
        info_{std::move(name), device->size_bytes(), device->block_size()},
        device_(std::move(device)),
        thread_([this] {
          ::pthread_setname_np(::pthread_self(), "listen");
          accept_clients();
        }) {}
  ~ExportTransport() override { stop(); }

  void stop() override {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t ignored =
        ::write(stop_.get(), &one, sizeof one);  // cannot fail below 2^64
    if (thread_.joinable()) thread_.join();
  }

 private:
  void accept_clients() {
    std::list<Client> clients;
    for (;;) {
      clients.remove_if([](const Client& client) { return client.finished(); });
      const bool room = clients.size() < kMaxClients;
      std::array<pollfd, 2> events{{{stop_.get(), POLLIN, 0}, {listener_.get(), POLLIN, 0}}};
      // A finished client is noticed within a second where there is no room for a new one.
      if (::poll(events.data(), room ? 2 : 1, room ? -1 : 1000) < 0 && errno != EINTR) return;
      if (events[0].revents != 0) return;
      if (!room || events[1].revents == 0) continue;
      UniqueFd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (socket) clients.emplace_back(std::move(socket), info_, device_);
    }
  }

  const UniqueFd listener_;
  const UniqueFd stop_;
  const nbd::ExportInfo info_;
  const std::shared_ptr<BlockDevice> device_;
  std::jthread thread_;
};

}  // namespace

std::unique_ptr<Transport> serve_export(UniqueFd listener, std::string name,
                                        std::shared_ptr<BlockDevice> device) {
  return std::make_unique<ExportTransport>(std::move(listener), std::move(name), std::move(device));
}

}  // namespace erofs_oci
