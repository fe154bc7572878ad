// SPDX-License-Identifier: Apache-2.0
#include "nbd/netlink.h"

#include <linux/nbd-netlink.h>
#include <netlink/attr.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>
#include <poll.h>

#include <algorithm>
#include <cstdlib>
#include <optional>

#include "base/error.h"
#include "base/run_program.h"
#include "nbd/kernel_device.h"
#include "nbd/protocol.h"

namespace erofs_oci::nbd {
namespace {

/// A burst of deaths, a hundred bytes each, must not overflow the socket before it is read.
constexpr int kReceiveBufferBytes = 1024 * 1024;

Error no_memory() {
  return system_error(ENOMEM, "netlink");
}

/// libnl's errors are its own numbers.
void check(int result, std::string_view what) {
  if (result < 0) throw make_error(ErrorKind::system, "{}: {}", what, nl_geterror(result));
}

/// The number of the driver's netlink family; negative where the driver is not there.
int resolve_family(nl_sock* socket) {
  const int family = genl_ctrl_resolve(socket, NBD_GENL_FAMILY_NAME);
  if (family >= 0) return family;
  run_program("/sbin/modprobe", {"modprobe", "-q", "nbd"});  // whether that helped shows now
  return genl_ctrl_resolve(socket, NBD_GENL_FAMILY_NAME);
}

/// Calls `handle` for each message of the next datagram.
template <typename Handle>
void receive(nl_sock* socket, Handle&& handle) {
  sockaddr_nl sender{};
  unsigned char* buffer = nullptr;
  int left = nl_recv(socket, &sender, &buffer, nullptr);
  const std::unique_ptr<unsigned char, decltype(&::free)> owner(buffer, ::free);
  if (left == -NLE_AGAIN || left == -NLE_INTR) return;
  check(left, "receiving from the nbd driver");
  for (auto* message = reinterpret_cast<nlmsghdr*>(buffer); nlmsg_ok(message, left);
       message = nlmsg_next(message, &left)) {
    handle(message);
  }
}

/// False where `deadline` passes before `fd` is readable.
bool poll_until(int fd, std::chrono::steady_clock::time_point deadline) {
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd entry{fd, POLLIN, 0};
    const int ready = ::poll(&entry, 1, static_cast<int>(std::clamp<int64_t>(left.count(), 0, 60'000)));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) throw errno_error("waiting for the nbd driver");
    if (std::chrono::steady_clock::now() >= deadline) return false;
  }
}

nlattr* find_attribute(nlmsghdr* message, int type) {
  if (!genlmsg_valid_hdr(message, 0)) return nullptr;
  const auto* const header = static_cast<genlmsghdr*>(nlmsg_data(message));
  return nla_find(genlmsg_attrdata(header, 0), genlmsg_attrlen(header, 0), type);
}

nlattr* find_attribute(nlattr* nest, int type) {
  return nest == nullptr ? nullptr : nla_find(static_cast<nlattr*>(nla_data(nest)), nla_len(nest), type);
}

std::optional<int> index_in(nlmsghdr* message) {
  const nlattr* const index = find_attribute(message, NBD_ATTR_INDEX);
  if (index == nullptr || nla_len(index) < static_cast<int>(sizeof(uint32_t))) return std::nullopt;
  return static_cast<int>(nla_get_u32(index));
}

/// A nested attribute for as long as it is being written.
class Nest {
 public:
  Nest(nl_msg* message, int type) : message_(message), start_(nla_nest_start(message, type)) {
    if (start_ == nullptr) throw no_memory();
  }
  Nest(const Nest&) = delete;
  Nest& operator=(const Nest&) = delete;
  ~Nest() { nla_nest_end(message_, start_); }

 private:
  nl_msg* message_;
  nlattr* start_;
};

void put_u32(nl_msg* message, int type, uint32_t value) {
  if (nla_put_u32(message, type, value) < 0) throw no_memory();
}
void put_u64(nl_msg* message, int type, uint64_t value) {
  if (nla_put_u64(message, type, value) < 0) throw no_memory();
}
void put_text(nl_msg* message, int type, const std::string& value) {
  if (nla_put_string(message, type, value.c_str()) < 0) throw no_memory();
}
void put_socket(nl_msg* message, int socket) {
  const Nest sockets(message, NBD_ATTR_SOCKETS);
  const Nest item(message, NBD_SOCK_ITEM);
  put_u32(message, NBD_SOCK_FD, static_cast<uint32_t>(socket));
}

}  // namespace

void Netlink::Free::operator()(nl_sock* socket) const {
  nl_socket_free(socket);
}
void Netlink::Free::operator()(nl_msg* message) const {
  nlmsg_free(message);
}

Netlink::Netlink()
    : commands_(open_socket()), events_(open_socket()), family_(resolve_family(commands_.get())) {
  if (family_ < 0) {
    throw Error(ErrorKind::unsupported,
                "this kernel has no nbd driver (modprobe nbd did not help); set transport = \"fuse\"");
  }
  subscribe();
}

Netlink::~Netlink() = default;

Netlink::Socket Netlink::open_socket() {
  Socket socket(nl_socket_alloc());
  if (!socket) throw no_memory();
  check(genl_connect(socket.get()), "generic netlink");
  check(nl_socket_set_buffer_size(socket.get(), kReceiveBufferBytes, 0), "generic netlink's receive buffer");
  return socket;
}

void Netlink::subscribe() {
  const int group = genl_ctrl_resolve_grp(commands_.get(), NBD_GENL_FAMILY_NAME, NBD_GENL_MCAST_GROUP_NAME);
  check(group, "the nbd driver's netlink group");
  nl_socket_disable_seq_check(events_.get());
  check(nl_socket_add_membership(events_.get(), group), "joining the nbd driver's netlink group");
  check(nl_socket_set_nonblocking(events_.get()), "generic netlink");
  // Should events be lost all the same, that is no error: who waits for one looks again after a while anyway.
  const int on = 1;
  if (::setsockopt(nl_socket_get_fd(events_.get()), SOL_NETLINK, NETLINK_NO_ENOBUFS, &on, sizeof on) != 0) {
    throw errno_error("generic netlink");
  }
}

Netlink::Message Netlink::new_message(uint8_t command) const {
  Message message(nlmsg_alloc());
  if (!message) throw no_memory();
  if (genlmsg_put(message.get(), NL_AUTO_PORT, NL_AUTO_SEQ, family_, 0, 0, command, NBD_GENL_VERSION) ==
      nullptr) {
    throw no_memory();
  }
  return message;
}

int Netlink::connect(int socket, const DeviceSettings& settings) {
  Message message = new_message(NBD_CMD_CONNECT);
  put_u64(message.get(), NBD_ATTR_SIZE_BYTES, settings.size_bytes);
  put_u64(message.get(), NBD_ATTR_BLOCK_SIZE_BYTES, settings.block_size);
  put_u64(message.get(), NBD_ATTR_TIMEOUT, 0);
  put_u64(message.get(), NBD_ATTR_DEAD_CONN_TIMEOUT,
          static_cast<uint64_t>(settings.dead_connection_timeout.count()));
  put_u64(message.get(), NBD_ATTR_SERVER_FLAGS, kHasFlags | kReadOnly);
  put_text(message.get(), NBD_ATTR_BACKEND_IDENTIFIER, settings.identifier);
  put_socket(message.get(), socket);
  std::optional<int> index;
  transact(std::move(message), "connecting an nbd device", [&](nlmsghdr* reply) { index = index_in(reply); });
  if (!index) throw Error(ErrorKind::system, "the nbd driver connected a device and did not say which");
  return *index;
}

void Netlink::reconfigure(int index, int socket, const std::string& identifier) {
  Message message = new_message(NBD_CMD_RECONFIGURE);
  put_u32(message.get(), NBD_ATTR_INDEX, static_cast<uint32_t>(index));
  put_text(message.get(), NBD_ATTR_BACKEND_IDENTIFIER, identifier);
  put_socket(message.get(), socket);
  transact(std::move(message), fmt::format("reconnecting /dev/nbd{} as {}", index, identifier));
}

void Netlink::disconnect(int index, const std::string& identifier) {
  if (KernelDevice(index).identifier() != identifier) return;
  Message message = new_message(NBD_CMD_DISCONNECT);
  put_u32(message.get(), NBD_ATTR_INDEX, static_cast<uint32_t>(index));
  transact(std::move(message), fmt::format("disconnecting /dev/nbd{}", index));
}

bool Netlink::is_configured(int index) {
  Message message = new_message(NBD_CMD_STATUS);
  put_u32(message.get(), NBD_ATTR_INDEX, static_cast<uint32_t>(index));
  bool configured = false;
  transact(std::move(message), fmt::format("the status of /dev/nbd{}", index), [&](nlmsghdr* reply) {
    nlattr* const item = find_attribute(find_attribute(reply, NBD_ATTR_DEVICE_LIST), NBD_DEVICE_ITEM);
    const nlattr* const connected = find_attribute(item, NBD_DEVICE_CONNECTED);
    configured = connected != nullptr && nla_len(connected) >= 1 && nla_get_u8(connected) != 0;
  });
  return configured;
}

/// Sends `message` and waits for its acknowledgement; `on_reply` sees what comes before it.
void Netlink::transact(Message message, const std::string& what, const OnReply& on_reply) {
  check(nl_send_auto(commands_.get(), message.get()), what);
  std::optional<int> errno_value;
  while (!errno_value) {
    receive(commands_.get(), [&](nlmsghdr* reply) {
      if (reply->nlmsg_type != NLMSG_ERROR) {
        if (on_reply) on_reply(reply);
      } else if (nlmsg_datalen(reply) >= static_cast<int>(sizeof(nlmsgerr))) {
        errno_value = -static_cast<nlmsgerr*>(nlmsg_data(reply))->error;  // 0: the acknowledgement
      }
    });
  }
  if (*errno_value != 0) throw system_error(*errno_value, what);
}

bool Netlink::wait_for_dead_link(int index, Deadline deadline) {
  bool dead = false;
  while (!dead && poll_until(nl_socket_get_fd(events_.get()), deadline)) {
    receive(events_.get(), [&](nlmsghdr* event) {
      if (event->nlmsg_type != family_ || !genlmsg_valid_hdr(event, 0)) return;
      const auto* const header = static_cast<genlmsghdr*>(nlmsg_data(event));
      if (header->cmd == NBD_CMD_LINK_DEAD && index_in(event) == index) dead = true;
    });
  }
  return dead;
}

}  // namespace erofs_oci::nbd
