// SPDX-License-Identifier: Apache-2.0
#include "nbd/handshake.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <concepts>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/text.h"
#include "nbd/protocol.h"

namespace erofs_oci::nbd {
namespace {

using Clock = std::chrono::steady_clock;

/// An export name has at most 4096 bytes (proto.md, "String encoding"); the rest of an option's data is small.
constexpr uint32_t kMaxOptionData = 8192;
constexpr int kMaxOptions = 1000;
constexpr uint32_t kPreferredBlock = 4096;

struct PeerLeft {};

/// Big-endian fields appended one after another.
class Message {
 public:
  template <std::integral T>
  Message& add(T value) {
    bytes_.resize(bytes_.size() + sizeof value);
    store_be(bytes_.data() + bytes_.size() - sizeof value, value);
    return *this;
  }
  Message& add(std::string_view text) {
    bytes_.insert(bytes_.end(), as_bytes(text).begin(), as_bytes(text).end());
    return *this;
  }
  Message& zeros(size_t count) {
    bytes_.resize(bytes_.size() + count);
    return *this;
  }
  Bytes bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

class Handshake {
 public:
  Handshake(int socket, const ExportInfo& info, std::chrono::milliseconds time_limit)
      : socket_(socket), info_(info), deadline_(Clock::now() + time_limit) {}

  std::optional<Negotiated> run() {
    const uint16_t server_flags = kFlagFixedNewstyle | kFlagNoZeroes;
    send(Message().add(kInitMagic).add(kOptionMagic).add(server_flags));
    const auto client_flags = receive_int<uint32_t>();
    if ((client_flags & ~uint32_t{kFlagFixedNewstyle | kFlagNoZeroes}) != 0) {
      throw make_error(ErrorKind::corrupt, "nbd client sent unknown flags {:#x}", client_flags);
    }
    no_zeroes_ = (client_flags & kFlagNoZeroes) != 0;
    for (int i = 0; i < kMaxOptions; ++i) {
      if (const auto outcome = take_option()) return *outcome ? std::optional(negotiated_) : std::nullopt;
    }
    throw make_error(ErrorKind::corrupt, "nbd client sent more than {} options", kMaxOptions);
  }

 private:
  /// Handles one option: true ends the handshake for transmission, false for good.
  std::optional<bool> take_option() {
    if (receive_int<uint64_t>() != kOptionMagic) throw Error(ErrorKind::corrupt, "nbd client sent no option magic");
    const auto option = receive_int<uint32_t>();
    const auto length = receive_int<uint32_t>();
    if (length > kMaxOptionData) {
      if (option == static_cast<uint32_t>(Option::export_name)) {
        throw make_error(ErrorKind::corrupt, "nbd client asked for an export name of {} bytes", length);
      }
      discard(length);
      reply(option, OptionReply::too_big);
      return std::nullopt;
    }
    std::vector<std::byte> data(length);
    receive(data);
    return dispatch(option, data);
  }

  std::optional<bool> dispatch(uint32_t option, Bytes data) {
    switch (static_cast<Option>(option)) {
      case Option::export_name:
        if (!is_ours(as_text(data))) return false;  // this option has no error reply
        send_export();
        return true;
      case Option::abort:
        reply(option, OptionReply::ack);
        return false;
      case Option::list:
        reply_list(option, data);
        return std::nullopt;
      case Option::info:
      case Option::go:
        return reply_info(option, data) && option == static_cast<uint32_t>(Option::go) ? std::optional(true)
                                                                                      : std::nullopt;
      case Option::structured_reply:
        negotiated_.structured_replies = negotiated_.structured_replies || data.empty();
        reply(option, data.empty() ? OptionReply::ack : OptionReply::invalid);
        return std::nullopt;
    }
    reply(option, OptionReply::unsupported);
    return std::nullopt;
  }

  void send_export() {
    Message message;
    message.add(info_.size_bytes).add(transmission_flags());
    if (!no_zeroes_) message.zeros(124);
    send(message);
  }

  void reply_list(uint32_t option, Bytes data) {
    if (!data.empty()) return reply(option, OptionReply::invalid);
    reply(option, OptionReply::server, Message().add(static_cast<uint32_t>(info_.name.size())).add(info_.name));
    reply(option, OptionReply::ack);
  }

  /// Answers NBD_OPT_INFO or NBD_OPT_GO; whether the export was described.
  bool reply_info(uint32_t option, Bytes data) {
    if (data.size() < 6) return refuse(option, OptionReply::invalid);
    const uint64_t name_length = load_be<uint32_t>(data.data());
    if (name_length > data.size() - 6) return refuse(option, OptionReply::invalid);
    const std::string_view name = as_text(data.subspan(4, name_length));
    const uint64_t requests = load_be<uint16_t>(data.data() + 4 + name_length);
    if (data.size() != 6 + name_length + 2 * requests) return refuse(option, OptionReply::invalid);
    if (!is_ours(name)) return refuse(option, OptionReply::unknown);
    reply(option, OptionReply::info, Message().add(kInfoExport).add(info_.size_bytes).add(transmission_flags()));
    const uint32_t minimum = 1;
    reply(option, OptionReply::info,
          Message().add(kInfoBlockSize).add(minimum).add(kPreferredBlock).add(kMaxRequest));
    reply(option, OptionReply::ack);
    return true;
  }

  bool refuse(uint32_t option, OptionReply why) {
    reply(option, why);
    return false;
  }

  bool is_ours(std::string_view name) const { return name.empty() || name == info_.name; }

  uint16_t transmission_flags() const {
    return static_cast<uint16_t>(kHasFlags | kReadOnly | kCanMultiConn |
                                 (negotiated_.structured_replies ? kSendDontFragment : 0));
  }

  void reply(uint32_t option, OptionReply type, const Message& data = {}) {
    Message header;
    header.add(kOptionReplyMagic).add(option).add(static_cast<uint32_t>(type));
    header.add(static_cast<uint32_t>(data.bytes().size())).add(as_text(data.bytes()));
    send(header);
  }

  void wait(short events) {
    pollfd event{socket_, events, 0};
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline_ - Clock::now()).count();
    const int ready = left > 0 ? ::poll(&event, 1, static_cast<int>(left)) : 0;
    if (ready < 0 && errno != EINTR) throw errno_error("poll");
    if (ready == 0) throw Error(ErrorKind::unavailable, "nbd client took too long over the handshake");
  }

  void send(const Message& message) {
    for (Bytes rest = message.bytes(); !rest.empty();) {
      const ssize_t count = ::send(socket_, rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (count > 0) {
        rest = rest.subspan(static_cast<size_t>(count));
      } else if (errno == EAGAIN || errno == EINTR) {
        wait(POLLOUT);
      } else {
        throw PeerLeft();
      }
    }
  }

  void receive(MutableBytes out) {
    while (!out.empty()) {
      const ssize_t count = ::recv(socket_, out.data(), out.size(), MSG_DONTWAIT);
      if (count > 0) {
        out = out.subspan(static_cast<size_t>(count));
      } else if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
        wait(POLLIN);
      } else {
        throw PeerLeft();
      }
    }
  }

  void discard(uint64_t length) {
    std::array<std::byte, 4096> scratch;
    while (length != 0) {
      const size_t part = std::min<uint64_t>(length, scratch.size());
      receive(MutableBytes(scratch).first(part));
      length -= part;
    }
  }

  template <typename T>
  T receive_int() {
    std::array<std::byte, sizeof(T)> bytes;
    receive(bytes);
    return load_be<T>(bytes.data());
  }

  const int socket_;
  const ExportInfo& info_;
  const Clock::time_point deadline_;
  bool no_zeroes_ = false;
  Negotiated negotiated_;
};

}  // namespace

std::optional<Negotiated> negotiate(int socket, const ExportInfo& info, std::chrono::milliseconds time_limit) {
  try {
    return Handshake(socket, info, time_limit).run();
  } catch (const PeerLeft&) {
    return std::nullopt;
  }
}

}  // namespace erofs_oci::nbd
