// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/byte_range.h"
#include "base/bytes.h"
#include "base/range_reader.h"
#include "base/secret.h"
#include "http/headers.h"

namespace erofs_oci::http {

class AbortGroup;

/// How servers are reached and trusted. Connections are shared only between requests for which this is equal.
struct ConnectionSettings {
  std::optional<std::string> ca_pem;  ///< certificates trusted beside the system's, PEM
  bool insecure = false;              ///< any certificate will do
  std::optional<std::string> proxy;   ///< URL; none: by environment (http_proxy, …); "": no proxy
};

/// When a single exchange is given up. There is no limit on its total time: a long body may take long.
struct TimeLimits {
  std::chrono::milliseconds connect = std::chrono::seconds(10);  ///< name, TCP, proxy and TLS together
  /// So long without a byte, or with less than kStallBytesPerSecond on average.
  std::chrono::milliseconds stall = std::chrono::seconds(20);
};

constexpr uint64_t kStallBytesPerSecond = 512;

/// The start of a response, known before its body.
struct ResponseHead {
  int status = 0;
  Headers headers;

  bool ok() const { return status >= 200 && status < 300; }
};

/// Takes the body of a response with a status of 2xx piece by piece. Called on the transfer thread: must not
/// block, and of the engine must call nothing but spawn(). An exception ends the transfer and comes out of
/// Engine::perform.
class BodySink {
 public:
  virtual ~BodySink() = default;
  /// Once, before the first piece; not called for an answer without a body.
  virtual void begin(const ResponseHead& head) = 0;
  /// False: the rest is not wanted; the transfer ends here, as a success.
  virtual bool write(Bytes piece) = 0;
};

enum class Method { get, post };

/// One exchange. Redirects are not followed: who may see the authorization is the caller's to decide.
struct Request {
  Method method = Method::get;
  std::string url;
  std::vector<Header> headers;          ///< Accept-Encoding: identity is always sent
  std::optional<Secret> authorization;  ///< value of the Authorization field
  std::optional<ByteRange> range;       ///< not empty
  Secret form;                          ///< body of a post, application/x-www-form-urlencoded
  BodySink* sink = nullptr;             ///< none: the body is in Response::body
  uint64_t body_limit = 64 * kKiB;      ///< for Response::body of a 2xx; more is Error corrupt
  Priority priority = Priority::foreground;
  const ConnectionSettings* connection = nullptr;  ///< outlives the exchange; none: the defaults
  TimeLimits limits;
  const AbortGroup* group = nullptr;  ///< outlives the exchange
};

struct Response : ResponseHead {
  std::string url;  ///< the request's
  std::string
      body;  ///< of a 2xx where no sink was given; of any other status its first kErrorBodyLimit bytes
};

constexpr uint64_t kErrorBodyLimit = 8 * kKiB;
constexpr uint64_t kHeaderLimit = 64 * kKiB;  ///< all header lines of one response; more is Error corrupt

}  // namespace erofs_oci::http
