// SPDX-License-Identifier: Apache-2.0
#include "cli/daemon_client.h"

#include <fcntl.h>

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "cli/layout_rounds.h"
#include "config/capabilities.h"
#include "config/image_source.h"

namespace erofs_oci {
namespace {

using nlohmann::json;

constexpr std::chrono::seconds kConnectLimit{10};
/// The service manager, which keeps the descriptors, may be busy with the starts of many mounts.
constexpr std::chrono::seconds kServeLimit{90};
/// Where nothing happens, nothing is told.
constexpr std::chrono::hours kMonitorSilence{24 * 365};
/// Beyond the definition's start_timeout, which the daemon itself keeps.
constexpr std::chrono::seconds kOpenGrace{30};
/// Longer than merging and writing take once all layers are read.
constexpr std::chrono::minutes kIndexSilence{10};
/// Longer than a slow disk takes for one span, or to give blocks back.
constexpr std::chrono::minutes kVerifySilence{2};

Client connect(const std::string& socket, std::chrono::seconds limit) {
  try {
    return Client(socket, deadline_in(std::min(limit, kConnectLimit)));
  } catch (const Error& error) {
    const char* const remedy = socket == kControlSocket ? "; systemctl status erofs-ocid tells why" : "";
    throw Error(ErrorKind::unavailable, error.errno_value(), fmt::format("{}{}", error.what(), remedy));
  }
}

/// Descriptors of a message, named by their position.
class FdList {
 public:
  FdIndex add(UniqueFd fd) {
    fds_.push_back(std::move(fd));
    return static_cast<FdIndex>(fds_.size() - 1);
  }
  std::optional<FdIndex> add_file(const std::optional<std::filesystem::path>& path) {
    if (!path) return std::nullopt;
    UniqueFd file = open_file(*path, O_RDONLY | O_NONBLOCK);  // a FIFO must not hold us up
    check_regular_file(file.get(), path->native());
    return add(std::move(file));
  }
  std::vector<int> numbers() const {
    std::vector<int> numbers;
    for (const UniqueFd& fd : fds_) numbers.push_back(fd.get());
    return numbers;
  }

 private:
  std::vector<UniqueFd> fds_;
};

}  // namespace

DaemonClient::DaemonClient(const std::string& socket, const Termination* termination,
                           std::chrono::seconds limit)
    : limit_(limit), client_(connect(socket, limit)) {
  if (termination != nullptr) client_.set_interrupt(termination->fd());
}

namespace {

/// Opens the local files that the definition names, and finds its credentials.
template <typename Request>
void add_files(Request& request, FdList& fds, const CredentialPaths& paths = {}) {
  const Definition& definition = request.definition;
  const ImageSource source = parse_image_source(definition.image);
  if (source.is_one_file()) request.files.image = fds.add_file(source.location);
  request.files.tarindex = fds.add_file(definition.tarindex);
  request.files.zinfo = fds.add_file(definition.zinfo);
  request.files.ca = fds.add_file(definition.registry.ca);
  if (auto credentials = find_credentials(definition, paths))
    request.credentials = fds.add(std::move(*credentials));
}

/// Once more with each file of a layout that the daemon finds it needs.
template <typename Request>
json call_with_layout(Client& client, std::string_view method, Request& request, FdList& fds,
                      std::chrono::milliseconds silence, const ProgressSink& progress) {
  LayoutRounds rounds(parse_image_source(request.definition.image));
  const auto on_progress = [&](const json& parameters) { progress(from_json<OpenProgress>(parameters)); };
  for (;;) {
    try {
      return client.call_more(method, to_json(request), fds.numbers(), silence, on_progress);
    } catch (const FilesWanted& wanted) {
      for (auto& [name, file] : rounds.open(wanted)) request.files.layout[name] = fds.add(std::move(file));
    }
  }
}

}  // namespace

OpenReply DaemonClient::open(const Definition& definition, const std::optional<Digest>& pinned,
                             const ProgressSink& progress, const CredentialPaths& paths) {
  check_capabilities(definition);
  return from_json<OpenReply>(call_with_files("Open", definition, pinned, progress, paths));
}

InspectReply DaemonClient::inspect(const Definition& definition, const ProgressSink& progress) {
  return from_json<InspectReply>(call_with_files("Inspect", definition, std::nullopt, progress, {}));
}

/// Opens what the definition names, and more as the daemon finds out that it needs it.
json DaemonClient::call_with_files(std::string_view method, const Definition& definition,
                                   const std::optional<Digest>& pinned, const ProgressSink& progress,
                                   const CredentialPaths& paths) {
  FdList fds;
  OpenRequest request;
  request.definition = definition;
  request.pinned = pinned;
  add_files(request, fds, paths);
  return call_with_layout(client_, method, request, fds, definition.start_timeout + kOpenGrace, progress);
}

IndexReply DaemonClient::index(IndexRequest request, const UniqueFd& output, const UniqueFd& zinfo,
                               const ProgressSink& progress) {
  FdList fds;
  add_files(request, fds);
  if (output) request.output = fds.add(duplicate(output.get()));
  if (zinfo) request.zinfo = fds.add(duplicate(zinfo.get()));
  return from_json<IndexReply>(call_with_layout(client_, "Index", request, fds, kIndexSilence, progress));
}

CollectReply DaemonClient::collect(const CollectRequest& request) {
  return from_json<CollectReply>(client_.call("Collect", to_json(request), {}, deadline_in(limit_)));
}

CacheListReply DaemonClient::cache_list() {
  return from_json<CacheListReply>(client_.call("CacheList", json::object(), {}, deadline_in(limit_)));
}

CacheVerifyReply DaemonClient::cache_verify(const ProgressSink& progress) {
  const auto on_progress = [&](const json& parameters) { progress(from_json<OpenProgress>(parameters)); };
  return from_json<CacheVerifyReply>(
      client_.call_more("CacheVerify", json::object(), {}, kVerifySilence, on_progress));
}

CacheRemoveReply DaemonClient::cache_remove(const CacheRemoveRequest& request) {
  return from_json<CacheRemoveReply>(
      client_.call("CacheRemove", to_json(request), {}, deadline_in(kVerifySilence)));
}

PrefetchReply DaemonClient::prefetch(const PrefetchRequest& request, const ProgressSink& progress) {
  const auto on_progress = [&](const json& parameters) { progress(from_json<OpenProgress>(parameters)); };
  return from_json<PrefetchReply>(
      client_.call_more("Prefetch", to_json(request), {}, kVerifySilence, on_progress));
}

AccessesReply DaemonClient::accesses(const std::string& name) {
  return from_json<AccessesReply>(
      client_.call("Accesses", to_json(AccessesRequest{name}), {}, deadline_in(limit_)));
}

void DaemonClient::serve(const ServeRequest& request, const std::vector<UniqueFd>& fds) {
  std::vector<int> numbers;
  for (const UniqueFd& fd : fds) numbers.push_back(fd.get());
  client_.call("Serve", to_json(request), numbers, deadline_in(kServeLimit));
}

void DaemonClient::close(const std::string& name, const std::optional<std::string>& generation) {
  client_.call("Close", to_json(CloseRequest{name, generation}), {}, deadline_in(limit_));
}

void DaemonClient::monitor(const std::optional<std::string>& mount,
                           const std::function<void(const MonitorReply&)>& on_reply) {
  const auto last = client_.call_more(
      "Monitor", to_json(MonitorRequest{mount}), {}, {.first = limit_, .next = kMonitorSilence},
      [&](const json& parameters) { on_reply(from_json<MonitorReply>(parameters)); });
  on_reply(from_json<MonitorReply>(last));
}

void DaemonClient::reload(const Definition& definition, const std::string& generation,
                          const CredentialPaths& paths) {
  FdList fds;
  ReloadRequest request{generation, definition, std::nullopt};
  if (auto credentials = find_credentials(definition, paths))
    request.credentials = fds.add(std::move(*credentials));
  client_.call("Reload", to_json(request), fds.numbers(), deadline_in(limit_));
}

uint64_t DaemonClient::begin_unmount(const std::string& name, const std::string& generation) {
  return from_json<BeginUnmountReply>(client_.call("BeginUnmount",
                                                   to_json(BeginUnmountRequest{name, generation}), {},
                                                   deadline_in(limit_)))
      .waiting;
}

std::vector<MountStatus> DaemonClient::status(const std::optional<std::string>& name) {
  return from_json<StatusReply>(client_.call("Status", to_json(StatusRequest{name}), {}, deadline_in(limit_)))
      .mounts;
}

}  // namespace erofs_oci
