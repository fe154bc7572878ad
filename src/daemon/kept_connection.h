// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "control/messages.h"
#include "daemon/stored_descriptors.h"
#include "daemon/transport.h"

namespace erofs_oci {

// A connection to the kernel as the parts that the service manager keeps of it: README.md.

/// Export listens, and whoever starts it anew does so.
constexpr bool can_be_kept(TransportKind kind) {
  return kind != TransportKind::export_;
}

/// The parts of a new connection, of the descriptors that a client hands over. Error invalid where they are
/// not what the transport takes.
StoredMount new_connection(TransportKind kind, std::vector<UniqueFd> fds);

/// Why nobody can go on with the connection; empty where one can.
std::string why_lost(TransportKind kind, const StoredMount& parts);
/// For people: what a predecessor left undone.
std::string describe_left(TransportKind kind, const StoredMount& parts);
/// Whether whoever served it before died by a fault of its own, as far as is known.
bool predecessor_faulted(const StoredMount& parts);
/// Of nbd: has the kernel know that the connection is over, so that a client can give the device another one. False of fuse,
/// whose connection is the only one there will be, and ends with its last descriptor.
bool end_connection(const StoredMount& parts);

StoredMount copies_of(const StoredMount& parts);

/// Ends the connection (end_connection()) if nobody comes to serve it: the service manager's copies would
/// have the kernel wait for answers for ever, and refuse another connection.
class UnservedConnection {
 public:
  explicit UnservedConnection(const StoredMount& parts);
  ~UnservedConnection();
  UnservedConnection(const UnservedConnection&) = delete;
  UnservedConnection& operator=(const UnservedConnection&) = delete;
  /// It is served.
  void release() { connection_.reset(); }

 private:
  UniqueFd connection_;
};

/// Serves `device` on the connection, and goes on with what a predecessor left. `name` is the mount's.
std::unique_ptr<Transport> serve_connection(TransportKind kind, StoredMount parts, const std::string& name,
                                            std::shared_ptr<BlockDevice> device, TransportEnded ended,
                                            ReadGivenUp given_up, Pulses* pulses);

}  // namespace erofs_oci
