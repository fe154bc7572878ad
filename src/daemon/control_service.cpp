// SPDX-License-Identifier: Apache-2.0
#include "daemon/control_service.h"

#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "control/messages.h"

namespace erofs_oci {
namespace {

using nlohmann::json;

constexpr uint64_t kMaxCa = 4 * kMiB;
constexpr uint64_t kMaxCredentials = 64 * kKiB;

UniqueFd take_optional(Call& call, const std::optional<FdIndex>& index, std::string_view parameter) {
  return index ? take_fd(call.fds, *index, parameter) : UniqueFd();
}

/// A memfd with {"username", "password", "identity_token"}, each optional. What is wrong is said without the
/// text.
registry::Credentials read_credentials(const UniqueFd& file) {
  ::lseek(file.get(), 0, SEEK_SET);
  const Secret text(read_text(file.get(), kMaxCredentials, "credentials"));
  const json object = json::parse(text.reveal(), nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) throw Error(ErrorKind::invalid, "credentials are not a JSON object");
  const auto member = [&](const char* name) {
    const auto found = object.find(name);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  return {member("username"), Secret(member("password")), Secret(member("identity_token"))};
}

OpenInput open_input(Call& call) {
  OpenRequest request = from_json<OpenRequest>(call.parameters);
  OpenInput input;
  input.image = take_optional(call, request.files.image, "files.image");
  input.tarindex = take_optional(call, request.files.tarindex, "files.tarindex");
  input.zinfo = take_optional(call, request.files.zinfo, "files.zinfo");
  if (const UniqueFd ca = take_optional(call, request.files.ca, "files.ca")) {
    input.ca_pem = read_text(ca.get(), kMaxCa, request.definition.registry.ca->native());
  }
  if (const UniqueFd credentials = take_optional(call, request.credentials, "credentials")) {
    input.credentials = read_credentials(credentials);
  }
  input.pinned = request.pinned;
  input.definition = std::move(request.definition);
  return input;
}

json open(MountTable& mounts, Call& call) {
  const auto stage = [&call](const OpenProgress& progress) { call.progress(to_json(progress)); };
  OpenInput input = open_input(call);
  input.stop = call.stop;
  call.subject = input.definition.name;
  MountTable::Opened opened = mounts.open(std::move(input), stage);
  if (opened.abandon) call.at_end(std::move(opened.abandon));
  return to_json(opened.reply);
}

json serve(MountTable& mounts, Call& call) {
  const auto request = from_json<ServeRequest>(call.parameters);
  call.subject = request.name;
  std::vector<UniqueFd> fds;
  for (const FdIndex index : request.fds) fds.push_back(take_fd(call.fds, index, "fds"));
  mounts.serve(request, std::move(fds));
  return json::object();
}

json list(MountTable& mounts) {
  ListReply reply;
  for (MountStatus& status : mounts.status(std::nullopt)) {
    reply.mounts.push_back(
        {std::move(status.name), std::move(status.generation), std::move(status.image), status.health});
  }
  return to_json(reply);
}

}  // namespace

std::vector<Method> control_methods(MountTable& mounts) {
  using enum Method::Right;
  std::vector<Method> methods;
  methods.push_back(
      {.name = "Open", .right = owner, .handler = [&](Call& call) { return open(mounts, call); }});
  methods.push_back(
      {.name = "Serve", .right = owner, .handler = [&](Call& call) { return serve(mounts, call); }});
  methods.push_back({.name = "Close", .right = owner, .handler = [&](Call& call) {
                       const auto request = from_json<CloseRequest>(call.parameters);
                       call.subject = request.name;
                       mounts.close(request);
                       return json::object();
                     }});
  methods.push_back({.name = "Status", .right = anyone, .handler = [&](Call& call) {
                       const auto request = from_json<StatusRequest>(call.parameters);
                       return to_json(StatusReply{mounts.status(request.name)});
                     }});
  methods.push_back({.name = "List", .right = anyone, .handler = [&](Call&) { return list(mounts); }});
  return methods;
}

}  // namespace erofs_oci
