// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/unique_fd.h"

namespace erofs_oci::fuse {

/// Opens the fuse device at `path` ("/dev/fuse"), which begins a connection. Error unsupported where
/// something else or no driver is there, denied without the right to it; both say what to do.
UniqueFd open_connection(const std::string& path);

/// A regular file whose bytes a fuse::Server answers: a FUSE filesystem that consists of its root alone, the
/// root being the file. It is mounted but attached nowhere, so no other process can come across it, and it
/// vanishes without a trace with its last user. Needs CAP_SYS_ADMIN; one thread at a time.
class FuseFile {
 public:
  /// `identifier` is the source shown in /proc/PID/mountinfo, were it ever attached.
  explicit FuseFile(const std::string& identifier);

  /// The connection, for the server. It is the only copy: once the server's process holds the last one, the
  /// death of that process ends the filesystem instead of blocking its readers for ever.
  UniqueFd take_connection() { return std::move(connection_); }

  /// Opens the file for reading and learns its size. Blocks until the connection is served; Error where it is
  /// not any more.
  UniqueFd open() const;

  /// Ends the connection: open(), and all reads, fail. For a server that answers nobody; on any thread.
  void abort() const;

 private:
  UniqueFd connection_;
  UniqueFd root_;
};

}  // namespace erofs_oci::fuse
