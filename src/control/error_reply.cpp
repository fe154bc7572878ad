// SPDX-License-Identifier: Apache-2.0
#include "control/error_reply.h"

#include <array>

#include "base/text.h"
#include "control/interface.h"

namespace erofs_oci {
namespace {

constexpr size_t kMaxSentenceBytes = 2000;
constexpr int kMaxErrno = 4095;  // MAX_ERRNO, include/linux/err.h

struct ServiceError {
  std::string_view name;
  ErrorKind kind;
  std::string_view parameter;
  std::string_view sentence;
};

constexpr auto kServiceErrors = std::to_array<ServiceError>({
    {"InterfaceNotFound", ErrorKind::unsupported, "interface",
     "the daemon does not know the interface '{}': is it of another version?"},
    {"MethodNotFound", ErrorKind::unsupported, "method",
     "the daemon does not know the method '{}': is it of another version?"},
    {"MethodNotImplemented", ErrorKind::unsupported, "method",
     "the daemon does not implement the method '{}'"},
    {"InvalidParameter", ErrorKind::invalid, "parameter", "the daemon does not accept the parameter '{}'"},
    {"PermissionDenied", ErrorKind::denied, "", "the daemon takes this from root only"},
    {"ExpectedMore", ErrorKind::invalid, "", "the daemon answers this call with a stream of replies only"},
});

std::string text_at(const nlohmann::json& parameters, std::string_view key) {
  const auto found = parameters.find(key);
  return found != parameters.end() && found->is_string()
             ? printable(found->get_ref<const std::string&>(), kMaxSentenceBytes)
             : std::string();
}

Error failed(const nlohmann::json& parameters) {
  const ErrorKind kind = error_kind_from_string(text_at(parameters, "kind"));
  const std::string message = text_at(parameters, "message");
  const auto number = parameters.find("errno");
  const int64_t value =
      number != parameters.end() && number->is_number_integer() ? number->get<int64_t>() : 0;
  return Error(kind, value > 0 && value <= kMaxErrno ? static_cast<int>(value) : EIO,
               message.empty() ? "the daemon failed without a reason" : message);
}

}  // namespace

nlohmann::json failed_reply(const Error& error) {
  return {{"error", kFailed},
          {"parameters",
           {{"kind", to_string(error.kind())}, {"errno", error.errno_value()}, {"message", error.what()}}}};
}

nlohmann::json files_wanted_reply(const FilesWanted& wanted) {
  return {{"error", kFilesWanted}, {"parameters", {{"names", wanted.names}}}};
}

std::optional<FilesWanted> files_wanted_of_reply(const nlohmann::json& reply) {
  if (text_at(reply, "error") != kFilesWanted) return std::nullopt;
  const nlohmann::json parameters = reply.value("parameters", nlohmann::json::object());
  const auto names = parameters.find("names");
  if (names == parameters.end() || !names->is_array() || names->empty()) {
    throw Error(ErrorKind::corrupt, "the daemon asks for files without naming any");
  }
  FilesWanted wanted;
  for (const nlohmann::json& name : *names) {
    if (!name.is_string() || !is_layout_file(name.get_ref<const std::string&>())) {
      throw make_error(ErrorKind::corrupt, "the daemon asks for {}, which is no file of an image layout",
                       printable(name.dump(-1, ' ', true)));
    }
    wanted.names.push_back(name.get<std::string>());
  }
  return wanted;
}

nlohmann::json service_error_reply(std::string_view name, std::string_view parameter,
                                   std::string_view value) {
  nlohmann::json parameters = nlohmann::json::object();
  if (!parameter.empty()) parameters[std::string(parameter)] = value;
  return {{"error", fmt::format("{}.{}", kServiceInterface, name)}, {"parameters", std::move(parameters)}};
}

Error error_of_reply(const nlohmann::json& reply) {
  const std::string name = text_at(reply, "error");
  const nlohmann::json parameters = reply.value("parameters", nlohmann::json::object());
  if (name == kFailed) return failed(parameters);
  for (const ServiceError& known : kServiceErrors) {
    if (name != fmt::format("{}.{}", kServiceInterface, known.name)) continue;
    return Error(known.kind, fmt::format(fmt::runtime(known.sentence), text_at(parameters, known.parameter)));
  }
  return make_error(ErrorKind::system, "the daemon answered with the unknown error '{}'", name);
}

}  // namespace erofs_oci
