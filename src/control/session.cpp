// SPDX-License-Identifier: Apache-2.0
#include "control/session.h"

#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <thread>

#include "base/log.h"
#include "base/text.h"
#include "control/error_reply.h"
#include "control/interface.h"

namespace erofs_oci {
namespace {

using json = nlohmann::json;

bool flag(const json& body, const char* name) {
  const auto found = body.find(name);
  if (found == body.end()) return false;
  if (!found->is_boolean())
    throw make_error(ErrorKind::corrupt, "'{}' of a call is neither true nor false", name);
  return found->get<bool>();
}

std::string_view interface_of(std::string_view method) {
  return method.substr(0, method.rfind('.'));
}
std::string_view short_name(std::string_view method) {
  return method.substr(method.rfind('.') + 1);
}

json service_info() {
  return {{"vendor", "erofs-oci"},
          {"product", "erofs-ocid"},
          {"version", EROFS_OCI_VERSION},
          {"url", "https://github.com/erofs-oci/erofs-oci"},
          {"interfaces", {kServiceInterface, kInterface}}};
}

json describe_interface(const json& parameters) {
  const auto name = parameters.find("interface");
  if (name == parameters.end() || !name->is_string()) {
    return service_error_reply("InvalidParameter", "parameter", "interface");
  }
  if (*name == kInterface) return {{"parameters", {{"description", interface_description()}}}};
  if (*name == kServiceInterface) return {{"parameters", {{"description", service_description()}}}};
  return service_error_reply("InterfaceNotFound", "interface", name->get_ref<const std::string&>());
}

/// Requests a stop as soon as the peer hangs up, on a thread of its own, as long as it lives.
class HangupWatch {
 public:
  HangupWatch(const Connection& connection, std::stop_source& stop)
      : end_(::eventfd(0, EFD_CLOEXEC)), watcher_([this, &connection, &stop] {
          ::pthread_setname_np(::pthread_self(), "hangup");
          if (connection.wait_for_hangup(end_.get())) stop.request_stop();
        }) {}
  ~HangupWatch() {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(end_.get(), &one, sizeof one);
  }
  HangupWatch(const HangupWatch&) = delete;
  HangupWatch& operator=(const HangupWatch&) = delete;

 private:
  const UniqueFd end_;
  std::jthread watcher_;  // last: joined before the rest goes
};

}  // namespace

/// {"method", "parameters"?, "more"?, "oneway"?}
struct Session::Request {
  explicit Request(Message message) : fds(std::move(message.fds)) {
    constexpr auto kMembers = std::to_array<std::string_view>({"method", "parameters", "more", "oneway"});
    json& body = message.body;
    for (const auto& [member, value] : body.items()) {
      if (std::find(kMembers.begin(), kMembers.end(), member) == kMembers.end()) {
        throw make_error(ErrorKind::corrupt, "a call has the unknown member '{}'", printable(member, 40));
      }
    }
    if (!body.contains("method") || !body["method"].is_string())
      throw Error(ErrorKind::corrupt, "a call names no method");
    method = body["method"].get<std::string>();
    more = flag(body, "more");
    oneway = flag(body, "oneway");
    if (more && oneway) throw Error(ErrorKind::corrupt, "a call wants no reply and more than one");
    if (body.contains("parameters") && !body["parameters"].is_null())
      parameters = std::move(body["parameters"]);
    if (!parameters.is_object())
      throw Error(ErrorKind::corrupt, "the parameters of a call are not an object");
  }

  std::string method;
  json parameters = json::object();
  std::vector<UniqueFd> fds;
  bool more = false;
  bool oneway = false;
};

Session::~Session() {
  for (const auto& ending : endings_) ending();
}

void Session::run(const std::stop_token& stop) {
  connection_.set_limits(privileged_ ? MessageLimits() : MessageLimits{kMaxQuestionBytes, kMaxQuestionFds});
  while (!stop.stop_requested() && connection_.wait(deadline_in(limits_.idle))) {
    auto message = connection_.receive(deadline_in(limits_.message));
    if (!message) return;
    answer(std::move(*message), stop);
  }
}

void Session::answer(Message message, const std::stop_token& stop) {
  Request request(std::move(message));
  const json reply = reply_to(request, stop);
  if (!request.oneway) send(reply);
}

json Session::reply_to(Request& request, const std::stop_token& stop) {
  const std::string_view interface = interface_of(request.method);
  if (interface == kServiceInterface) return reply_of_service(request);
  if (interface != kInterface) return service_error_reply("InterfaceNotFound", "interface", interface);
  const auto method = std::find_if(methods_.begin(), methods_.end(), [&](const Method& entry) {
    return entry.name == short_name(request.method);
  });
  if (method == methods_.end()) return service_error_reply("MethodNotFound", "method", request.method);
  if (method->right == Method::Right::owner && !privileged_) return service_error_reply("PermissionDenied");
  if (method->replies == Method::Replies::stream && !request.more) return service_error_reply("ExpectedMore");
  return run_handler(*method, request, stop);
}

json Session::reply_of_service(const Request& request) const {
  if (short_name(request.method) == "GetInfo") return {{"parameters", service_info()}};
  if (short_name(request.method) == "GetInterfaceDescription") return describe_interface(request.parameters);
  return service_error_reply("MethodNotFound", "method", request.method);
}

json Session::run_handler(const Method& method, Request& request, const std::stop_token& stop) {
  std::stop_source left;
  const std::stop_callback stopping(stop, [&] { left.request_stop(); });
  std::optional<HangupWatch> watch;
  if (method.waits_long) watch.emplace(connection_, left);
  Call call{.parameters = std::move(request.parameters),
            .fds = std::move(request.fds),
            .peer = connection_.peer(),
            .more = request.more,
            .stop = stop,
            .left = left.get_token(),
            .subject = {},
            .progress = {},
            .at_end = [this](std::function<void()> ending) { endings_.push_back(std::move(ending)); }};
  call.progress = [&](json parameters) {
    if (request.more) send({{"parameters", std::move(parameters)}, {"continues", true}});
  };
  try {
    return {{"parameters", method.handler(call)}};
  } catch (const FilesWanted& wanted) {
    return files_wanted_reply(wanted);
  } catch (const Error& error) {
    log_refusal(method, call, error);
    return failed_reply(error);
  } catch (const std::exception& error) {
    logf(LogLevel::error, "{} for uid {}: {}", method.name, call.peer.uid, error.what());
    return failed_reply(Error(ErrorKind::system, fmt::format("{}: {}", method.name, error.what())));
  }
}

/// The one place where a call that failed is logged. Whoever may only ask cannot fill the log.
void Session::log_refusal(const Method& method, const Call& call, const Error& error) const {
  const LogLevel level = method.right == Method::Right::owner ? refusals_ : LogLevel::debug;
  if (call.subject.empty()) {
    return logf(level, "{} for uid {}: {}", method.name, call.peer.uid, error.what());
  }
  log(level, fmt::format("{}: {} for uid {}: {}", call.subject, method.name, call.peer.uid, error.what()),
      {{"MOUNT", call.subject}});
}

void Session::send(const json& reply) {
  connection_.send(reply, {}, deadline_in(limits_.reply));
}

}  // namespace erofs_oci
