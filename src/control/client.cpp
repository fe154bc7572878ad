// SPDX-License-Identifier: Apache-2.0
#include "control/client.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <thread>

#include "base/error.h"
#include "base/text.h"
#include "control/error_reply.h"
#include "control/interface.h"

namespace erofs_oci {
namespace {

using json = nlohmann::json;

/// Between attempts while the queue of connections is full: connect(2) cannot be polled for that on AF_UNIX.
constexpr std::chrono::milliseconds kConnectPause{20};

sockaddr_un address_of(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.native().size() >= sizeof address.sun_path) {
    throw make_error(ErrorKind::invalid, "{}: the path of a socket is at most {} bytes long", path.native(),
                     sizeof address.sun_path - 1);
  }
  std::memcpy(address.sun_path, path.c_str(), path.native().size());
  return address;
}

UniqueFd connect_to(const std::filesystem::path& path, Deadline deadline) {
  const sockaddr_un address = address_of(path);
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) throw errno_error("socket");
  while (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const int code = errno;
    if (code == ENOENT || code == ECONNREFUSED)
      throw Error(ErrorKind::unavailable, code, fmt::format("no daemon listens on {}", path.native()));
    if (code != EAGAIN && code != EINTR) throw system_error(code, fmt::format("{}: connect", path.native()));
    if (std::chrono::steady_clock::now() >= deadline) {
      throw Error(ErrorKind::unavailable, ETIMEDOUT,
                  fmt::format("the daemon that listens on {} accepts no connection", path.native()));
    }
    std::this_thread::sleep_for(kConnectPause);
  }
  return socket;
}

[[noreturn]] void throw_error(const json& reply) {
  if (auto wanted = files_wanted_of_reply(reply)) throw *std::move(wanted);
  throw error_of_reply(reply);
}

/// The daemon is trusted less than its client, and what it says may end on a terminal: no string keeps a control character.
void make_printable(json& value) {
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    value = printable(text, text.size());
  } else if (value.is_structured()) {
    for (json& element : value) make_printable(element);
  }
}

json request(std::string_view method, json parameters) {
  return {{"method", method_name(method)}, {"parameters", std::move(parameters)}};
}

}  // namespace

/// {"parameters"?, "continues"?}; an error has been thrown.
struct Client::Reply {
  json parameters = json::object();
  bool continues = false;
};

Client::Client(const std::filesystem::path& path, Deadline deadline)
    : connection_(connect_to(path, deadline)) {}

json Client::call(std::string_view method, json parameters, std::span<const int> fds, Deadline deadline) {
  send(request(method, std::move(parameters)), fds, deadline);
  Reply reply = receive(deadline);
  if (reply.continues) throw Error(ErrorKind::corrupt, "the daemon answered one call with several replies");
  return std::move(reply.parameters);
}

json Client::call_more(std::string_view method, json parameters, std::span<const int> fds, Silence silence,
                       const std::function<void(const json&)>& on_progress) {
  json body = request(method, std::move(parameters));
  body["more"] = true;
  send(body, fds, deadline_in(silence.first));
  for (auto limit = silence.first;; limit = silence.next) {
    Reply reply = receive(deadline_in(limit));
    if (!reply.continues) return std::move(reply.parameters);
    on_progress(reply.parameters);
  }
}

void Client::oneway(std::string_view method, json parameters, std::span<const int> fds, Deadline deadline) {
  json body = request(method, std::move(parameters));
  body["oneway"] = true;
  send(body, fds, deadline);
}

void Client::send(const json& body, std::span<const int> fds, Deadline deadline) {
  try {
    connection_.send(body, fds, deadline);
  } catch (const Error& error) {
    if (is_interruption(error)) throw;
    // A daemon that takes no call says why before it closes.
    if (connection_.wait(std::chrono::steady_clock::now())) receive(deadline);
    throw;
  }
}

Client::Reply Client::receive(Deadline deadline) {
  std::optional<Message> message = connection_.receive(deadline);
  if (!message) throw Error(ErrorKind::unavailable, ECONNRESET, "the daemon closed the control connection");
  json& body = message->body;
  make_printable(body);
  if (body.contains("error")) throw_error(body);
  Reply reply;
  if (body.contains("parameters") && !body["parameters"].is_null())
    reply.parameters = std::move(body["parameters"]);
  if (!reply.parameters.is_object())
    throw Error(ErrorKind::corrupt, "the daemon's reply has no object of parameters");
  reply.continues = body.contains("continues") && body["continues"] == true;
  return reply;
}

}  // namespace erofs_oci
