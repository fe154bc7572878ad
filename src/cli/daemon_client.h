// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/digest.h"
#include "cli/credentials.h"
#include "cli/termination.h"
#include "control/client.h"
#include "control/interface.h"
#include "control/messages.h"

namespace erofs_oci {

/// Told of each stage of an Open.
using ProgressSink = std::function<void(const OpenProgress&)>;

/// For calls that only look, and for those whose caller can do without an answer, as an unmount can, and for
/// whom somebody waits: a stop has to end within 10 s.
constexpr std::chrono::seconds kBriefLimit{5};

/// The daemon's methods, typed, with a time limit each. One thread at a time.
class DaemonClient {
 public:
  /// Connects. Error unavailable, with what to do, where no daemon answers. Calls end with interruption()
  /// when `termination`, where it is given, says so. `limit` is for each call that has no work to wait for;
  /// one that takes longer is an Error with ETIMEDOUT.
  explicit DaemonClient(const std::string& socket = kControlSocket, const Termination* termination = nullptr,
                        std::chrono::seconds limit = std::chrono::seconds(30));

  /// Opens the local files that the definition names, finds its credentials, and has the daemon open the
  /// source. These may also be where the environment of its mount had them, `paths`.
  OpenReply open(const Definition& definition, const std::optional<Digest>& pinned,
                 const ProgressSink& progress, const CredentialPaths& paths = {});
  /// Likewise, has it build an index. `output` and `zinfo` are open for writing, or not open.
  IndexReply index(IndexRequest request, const UniqueFd& output, const UniqueFd& zinfo, const ProgressSink& progress);
  CollectReply collect(const CollectRequest& request);
  CacheListReply cache_list();
  CacheVerifyReply cache_verify(const ProgressSink& progress);
  CacheRemoveReply cache_remove(const CacheRemoveRequest& request);
  /// Says what the image is made of; what is opened is given back.
  InspectReply inspect(const Definition& definition, const ProgressSink& progress);
  PrefetchReply prefetch(const PrefetchRequest& request, const ProgressSink& progress);
  AccessesReply accesses(const std::string& name);
  void serve(const ServeRequest& request, const std::vector<UniqueFd>& fds);
  void close(const std::string& name, const std::optional<std::string>& generation);
  /// Tells `on_reply` what happens to the mount, or to all, until the daemon stops. The first reply, which
  /// comes at once, has the limit of this client.
  void monitor(const std::optional<std::string>& mount, const std::function<void(const MonitorReply&)>& on_reply);
  /// Finds the credentials anew, and has the daemon take them and the definition's policy over.
  void reload(const Definition& definition, const std::string& generation, const CredentialPaths& paths);
  /// As long as this client lives, no read of the mount waits long for its source. Returns how many wait now.
  uint64_t begin_unmount(const std::string& name, const std::string& generation);
  std::vector<MountStatus> status(const std::optional<std::string>& name);

 private:
  nlohmann::json call_with_files(std::string_view method, const Definition& definition,
                                 const std::optional<Digest>& pinned, const ProgressSink& progress,
                                 const CredentialPaths& paths);

  const std::chrono::seconds limit_;
  Client client_;
};

}  // namespace erofs_oci
