// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <stop_token>
#include <string>
#include <vector>

#include "control/connection.h"

namespace erofs_oci {

/// A call as its handler sees it.
struct Call {
  nlohmann::json parameters;  ///< an object
  std::vector<UniqueFd> fds;  ///< what came with the call; what the handler leaves here is closed after it
  PeerCredentials peer;
  bool more = false;     ///< the caller takes a stream of replies
  std::stop_token stop;  ///< the server stops: give up with Error unavailable
  /// The server stops, or the caller has left: give up what is done for the caller alone. Of waits_long
  /// methods.
  std::stop_token left;
  std::string subject;   ///< set by the handler, for the log: the mount that the call is about
  /// Sends a reply that is not the last, where the caller asked for more; else does nothing. Error
  /// unavailable where the caller is gone or does not read.
  std::function<void(nlohmann::json)> progress;
  /// Has something done when the connection ends, however it ends; it must not throw. For what the caller
  /// owns only as long as it is there.
  std::function<void(std::function<void()>)> at_end;
};

/// Returns the parameters of the (last) reply, an object; an Error that it throws is answered as one. Runs on
/// the thread of its connection, several at the same time.
using Handler = std::function<nlohmann::json(Call&)>;

/// A method of kInterface.
struct Method {
  enum class Right {
    anyone,  ///< asks
    owner,   ///< changes something: uid 0 or the server's owner
  };
  enum class Replies {
    one,     ///< `more` is allowed and changes nothing
    stream,  ///< only with `more`, else ExpectedMore
  };
  std::string name;  ///< "Open"
  Right right = Right::owner;
  Replies replies = Replies::one;
  Handler handler;
  bool waits_long = false;  ///< somebody watches meanwhile whether the caller is there
};

}  // namespace erofs_oci
