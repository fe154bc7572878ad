// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "base/byte_range.h"
#include "base/range_reader.h"
#include "http/engine.h"
#include "registry/authorizer.h"
#include "registry/hosts.h"

namespace erofs_oci::registry {

/// Readable from any thread while transfers run.
struct TrafficCounters {
  std::atomic<uint64_t> requests{0};
  std::atomic<uint64_t> bytes_received{0};  ///< of bodies
};

/// What to get from a repository.
struct Get {
  std::string path;  ///< below /v2/<repository>/: "manifests/latest", "blobs/sha256:…"
  /// A URL to start from instead; credentials go there only if it is the endpoint's own.
  std::string location;
  std::string accept;
  std::optional<ByteRange> range;
  http::BodySink* sink = nullptr;  ///< may be begun anew where a transfer breaks and another host is tried
  uint64_t body_limit = 64 * kKiB;
  Priority priority = Priority::foreground;
  http::TimeLimits limits;
  const http::AbortGroup* group = nullptr;
  TrafficCounters* counters = nullptr;
};

struct Answer {
  http::Response response;  ///< of any status but a redirect or a first 401
  /// Where a redirect led, if that is another server; likely a signed URL, so it is never logged.
  std::string location;
};

/// Gets things of one repository from one endpoint: authorizes, and follows redirects, on which credentials
/// are left behind. One try only. Belongs to the transfer thread.
class HostClient {
 public:
  HostClient(http::Engine& engine, const Endpoint& endpoint, const Reference& reference,
             const AccessSettings& settings);

  /// For what is asked from now on.
  void set_credentials(std::optional<Credentials> credentials);

  /// Errors as http::Engine::perform and Authorizer::renew; denied: the endpoint answered 401 or 403 to what
  /// it was sent last; unsupported: more than kMaxRedirects.
  http::Task<Answer> get(const Get& get);

  /// Whether the endpoint has ever answered, with whatever status.
  bool has_answered() const { return has_answered_; }

 private:
  http::Request request_for(const Get& get) const;
  void throw_if_refused(const http::Response& response) const;

  http::Engine& engine_;
  const std::string origin_;
  const std::string base_url_;  // ends in "/"
  const http::ConnectionSettings connection_;
  const std::string repository_;  // its path
  const http::TimeLimits limits_;
  bool has_credentials_ = false;
  std::shared_ptr<Authorizer> authorizer_;  // see there; shared with those that ask meanwhile
  bool has_answered_ = false;
};

}  // namespace erofs_oci::registry
