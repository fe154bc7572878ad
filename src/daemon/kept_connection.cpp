// SPDX-License-Identifier: Apache-2.0
#include "daemon/kept_connection.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/file.h"

namespace erofs_oci {
namespace {

UniqueFd take_part(StoredMount& parts, std::string_view part) {
  const auto found = parts.find(part);
  if (found == parts.end()) throw make_error(ErrorKind::not_found, "its part \"{}\" was not kept", part);
  return std::move(found->second);
}

nbd::Connection take_nbd(StoredMount& parts) {
  return {take_part(parts, kStoredConnection),
          nbd::ReplyPipe(take_part(parts, kStoredPipeRead), take_part(parts, kStoredPipeWrite)),
          RequestTable::adopt(take_part(parts, kStoredTable))};
}

/// Nothing is mounted from such a /dev/fuse, and no request can be received.
bool is_dead(const UniqueFd& connection) {
  pollfd entry{connection.get(), 0, 0};
  return ::poll(&entry, 1, 0) != 0;
}

}  // namespace

StoredMount copies_of(const StoredMount& parts) {
  StoredMount copies;
  for (const auto& [part, fd] : parts) copies.emplace(part, duplicate(fd.get()));
  return copies;
}

StoredMount new_connection(TransportKind kind, std::vector<UniqueFd> fds) {
  if (fds.empty()) throw Error(ErrorKind::not_found, "its connection was lost; unmount it and mount it anew");
  const size_t expected = kind == TransportKind::nbd ? 3 : 1;
  if (fds.size() != expected) {
    throw make_error(ErrorKind::invalid, "transport {} takes {} descriptors here, {} came", to_string(kind),
                     expected, fds.size());
  }
  if (kind == TransportKind::fuse && is_dead(fds[0]))
    throw Error(ErrorKind::invalid, "transport fuse takes the connection of something that is mounted");
  StoredMount parts;
  parts.emplace(kStoredConnection, std::move(fds[0]));
  if (can_be_kept(kind)) parts.emplace(kStoredTable, duplicate(RequestTable::create().fd()));
  if (kind != TransportKind::nbd) return parts;
  parts.emplace(kStoredPipeRead, std::move(fds[1]));
  parts.emplace(kStoredPipeWrite, std::move(fds[2]));
  StoredMount copies = copies_of(parts);
  take_nbd(copies);  // refuses what is no pipe
  return parts;
}

std::string why_lost(TransportKind kind, const StoredMount& parts) try {
  StoredMount copies = copies_of(parts);
  if (kind == TransportKind::nbd) return nbd::why_lost(take_nbd(copies));
  take_part(copies, kStoredConnection);
  RequestTable::adopt(take_part(copies, kStoredTable));
  return {};
} catch (const Error& error) {
  return error.what();
}

std::string describe_left(TransportKind kind, const StoredMount& parts) {
  StoredMount copies = copies_of(parts);
  std::string text =
      fmt::format("requests to be answered: {}", RequestTable::adopt(take_part(copies, kStoredTable)).owed());
  if (kind != TransportKind::nbd) return text;
  copies = copies_of(parts);
  const uint64_t waiting = take_nbd(copies).pipe.waiting();
  if (waiting != 0) text += fmt::format(", {} bytes of a reply are still to be sent", waiting);
  return text;
}

bool predecessor_faulted(const StoredMount& parts) try {
  const auto table = parts.find(kStoredTable);
  return table != parts.end() && RequestTable::adopt(duplicate(table->second.get())).predecessor_faulted();
} catch (const Error&) {
  return false;  // of another version
}

bool end_connection(const StoredMount& parts) {
  const auto connection = parts.find(kStoredConnection);
  if (connection == parts.end()) return true;
  const int fd = connection->second.get();
  ::shutdown(fd, SHUT_RDWR);
  return !S_ISCHR(stat_fd(fd, kStoredConnection).st_mode);  // /dev/fuse
}

UnservedConnection::UnservedConnection(const StoredMount& parts) {
  if (const auto found = parts.find(kStoredConnection); found != parts.end())
    connection_ = duplicate(found->second.get());
}

UnservedConnection::~UnservedConnection() {
  if (connection_)
    ::shutdown(connection_.get(), SHUT_RDWR);  // what is no socket ends with its last descriptor
}

std::unique_ptr<Transport> serve_connection(TransportKind kind, StoredMount parts, const std::string& name,
                                            std::shared_ptr<BlockDevice> device, TransportEnded ended,
                                            ReadGivenUp given_up, Pulses* pulses) {
  switch (kind) {
    case TransportKind::export_:
      return serve_export(take_part(parts, kStoredConnection), name, std::move(device));
    case TransportKind::nbd:
      return serve_nbd(take_nbd(parts), std::move(device), std::move(ended), std::move(given_up), pulses);
    case TransportKind::fuse:
      break;
  }
  RequestTable table = RequestTable::adopt(take_part(parts, kStoredTable));
  return serve_fuse(take_part(parts, kStoredConnection), std::move(table), name, std::move(device),
                    std::move(ended), std::move(given_up), pulses);
}

}  // namespace erofs_oci
