// SPDX-License-Identifier: Apache-2.0
#include "daemon/control_service.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "config/image_source.h"
#include "control/messages.h"
#include "daemon/cache_methods.h"
#include "daemon/collector.h"
#include "daemon/index_command.h"
#include "daemon/inspect.h"

namespace erofs_oci {
namespace {

using nlohmann::json;

constexpr uint64_t kMaxCa = 4 * kMiB;

UniqueFd take_optional(Call& call, const std::optional<FdIndex>& index, std::string_view parameter) {
  return index ? take_fd(call.fds, *index, parameter) : UniqueFd();
}

/// A client may pass only what the definition speaks of: everything behind relies on it.
void check_files_are_named(const OpenFiles& files, const Definition& definition) {
  const auto check = [](const char* file, const std::optional<FdIndex>& passed, bool named) {
    if (passed && !named)
      throw make_error(ErrorKind::invalid, "files.{} is passed, but the definition does not name it", file);
  };
  check("image", files.image, files.image && parse_image_source(definition.image).is_one_file());
  check("tarindex", files.tarindex, definition.tarindex.has_value());
  check("zinfo", files.zinfo, definition.zinfo.has_value());
  check("ca", files.ca, definition.registry.ca.has_value());
}

/// Of Open and of Index, which name it alike.
template <typename Request>
OpenInput open_input(Call& call, Request& request) {
  check_files_are_named(request.files, request.definition);
  OpenInput input;
  input.image = take_optional(call, request.files.image, "files.image");
  for (const auto& [name, index] : request.files.layout) {
    input.layout.emplace(name, take_fd(call.fds, index, "files.layout"));
  }
  input.tarindex = take_optional(call, request.files.tarindex, "files.tarindex");
  input.zinfo = take_optional(call, request.files.zinfo, "files.zinfo");
  if (const UniqueFd ca = take_optional(call, request.files.ca, "files.ca")) {
    input.ca_pem = read_text(ca.get(), kMaxCa, request.definition.registry.ca->native());
  }
  if (const UniqueFd credentials = take_optional(call, request.credentials, "credentials")) {
    input.credentials = registry::read_memory_file(credentials);
  }
  input.stop = call.stop;
  input.left = call.left;
  input.definition = std::move(request.definition);
  call.subject = input.definition.name;
  return input;
}

StageSink progress_of(Call& call) {
  return [&call](const OpenProgress& progress) { call.progress(to_json(progress)); };
}

json index(const ImageAccess& access, Call& call) {
  auto request = from_json<IndexRequest>(call.parameters);
  const OpenInput input = open_input(call, request);
  const IndexOutput output{take_optional(call, request.output, "output"),
                           take_optional(call, request.zinfo, "zinfo")};
  return to_json(index_image(access, input, request, output, progress_of(call)));
}

json collect(MountTable& mounts, Store& store, DiskCache* cache, Call& call) {
  const auto request = from_json<CollectRequest>(call.parameters);
  Needed needed;
  for (const DefinedImage& definition : request.definitions) {
    needed.mounts.insert(definition.name);
    needed.images.insert(ref_key(definition.image, definition.platform));
    if (definition.digest) needed.manifests.insert(*definition.digest);
  }
  for (const MountStatus& mount : mounts.status(std::nullopt)) {
    needed.mounts.insert(mount.name);
    if (mount.image_digest) needed.manifests.insert(*mount.image_digest);
  }
  CollectReply reply;
  for (const Removed& removed : collect_garbage(store, needed, request.dry_run, cache))
    reply.removed.push_back({removed.path, removed.size_bytes});
  return to_json(reply);
}

json open(MountTable& mounts, Call& call) {
  auto request = from_json<OpenRequest>(call.parameters);
  OpenInput input = open_input(call, request);
  input.pinned = request.pinned;
  const StageSink stage = progress_of(call);
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

json prefetch(MountTable& mounts, Call& call) {
  const auto request = from_json<PrefetchRequest>(call.parameters);
  call.subject = request.name;
  const StageSink stage = progress_of(call);
  const auto progress = [&](uint64_t done, uint64_t total) {
    stage({.stage = "prefetching", .done = done, .total = total});
  };
  return to_json(mounts.prefetch(request, progress, call.left));
}

json reload(MountTable& mounts, Call& call) {
  const auto request = from_json<ReloadRequest>(call.parameters);
  call.subject = request.definition.name;
  std::optional<registry::Credentials> credentials;
  if (const UniqueFd file = take_optional(call, request.credentials, "credentials"))
    credentials = registry::read_memory_file(file);
  mounts.reload(request, credentials);
  return json::object();
}

json begin_unmount(MountTable& mounts, Call& call) {
  const auto request = from_json<BeginUnmountRequest>(call.parameters);
  call.subject = request.name;
  MountTable::Hurried hurried = mounts.hurry(request);
  if (hurried.end) call.at_end(std::move(hurried.end));
  return to_json(BeginUnmountReply{hurried.waiting});
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

std::vector<Method> control_methods(MountTable& mounts, Store& store, DiskCache* cache) {
  using enum Method::Right;
  std::vector<Method> methods;
  methods.push_back({.name = "Open",
                     .right = owner,
                     .handler = [&](Call& call) { return open(mounts, call); },
                     .waits_long = true});
  methods.push_back(
      {.name = "Serve", .right = owner, .handler = [&](Call& call) { return serve(mounts, call); }});
  methods.push_back({.name = "Close", .right = owner, .handler = [&](Call& call) {
                       const auto request = from_json<CloseRequest>(call.parameters);
                       call.subject = request.name;
                       mounts.close(request);
                       return json::object();
                     }});
  methods.push_back({.name = "Prefetch",
                     .right = owner,
                     .handler = [&](Call& call) { return prefetch(mounts, call); },
                     .waits_long = true});
  methods.push_back({.name = "Accesses", .right = anyone, .handler = [&](Call& call) {
                       return to_json(mounts.accesses(from_json<AccessesRequest>(call.parameters).name));
                     }});
  methods.push_back(
      {.name = "Reload", .right = owner, .handler = [&](Call& call) { return reload(mounts, call); }});
  methods.push_back({.name = "BeginUnmount", .right = owner, .handler = [&](Call& call) {
                       return begin_unmount(mounts, call);
                     }});
  methods.push_back({.name = "Status", .right = anyone, .handler = [&](Call& call) {
                       const auto request = from_json<StatusRequest>(call.parameters);
                       return to_json(StatusReply{mounts.status(request.name)});
                     }});
  methods.push_back({.name = "List", .right = anyone, .handler = [&](Call&) { return list(mounts); }});
  methods.push_back({.name = "Collect", .right = owner, .handler = [&mounts, &store, cache](Call& call) {
                       return collect(mounts, store, cache, call);
                     }});
  std::ranges::move(cache_methods(mounts, cache), std::back_inserter(methods));
  return methods;
}

Method index_method(ImageAccess access) {
  return {.name = "Index", .right = Method::Right::owner, .handler = [access](Call& call) {
            return index(access, call);
          }};
}

Method inspect_method(const ImageAccess& access) {
  return {.name = "Inspect", .right = Method::Right::owner, .handler = [access](Call& call) {
            auto request = from_json<OpenRequest>(call.parameters);
            const OpenInput input = open_input(call, request);
            return to_json(inspect(input, access, progress_of(call)));
          }};
}

}  // namespace erofs_oci
