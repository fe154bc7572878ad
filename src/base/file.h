// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/unique_fd.h"

namespace erofs_oci {

/// open(2) with O_CLOEXEC added; Error names the path.
UniqueFd open_file(const std::filesystem::path& path, int flags, mode_t mode = 0);
/// As open_file, but nullopt where the file does not exist.
std::optional<UniqueFd> try_open_file(const std::filesystem::path& path, int flags);

/// Another descriptor of the same file, for an owner of its own.
UniqueFd duplicate(int fd);

struct stat stat_fd(int fd, std::string_view name);

/// A file in memory with `content`, at its start (memfd_create(2)); for what must not reach a disk, too.
UniqueFd memory_file(const char* name, std::string_view content);

/// Reads exactly out.size() bytes at `offset`; a file that ends before is Error corrupt. `name` is for the message.
void pread_exactly(int fd, uint64_t offset, MutableBytes out, std::string_view name);
/// Writes all of `bytes` at `offset`.
void pwrite_all(int fd, uint64_t offset, Bytes bytes, std::string_view name);
/// Writes all of `bytes` at the file position.
void write_all(int fd, Bytes bytes, std::string_view name);

/// What lies in a folder, in any order, without "." and "..". Throws Error.
std::vector<std::string> names_in(const std::filesystem::path& folder);

/// The whole of a regular file or pipe; more than `limit` bytes is Error invalid.
std::string read_text(int fd, uint64_t limit, std::string_view name);
std::string read_text_file(const std::filesystem::path& path, uint64_t limit);

/// An empty file without a name in `folder`, so that nothing is left of one that is never finished (open(2), O_TMPFILE).
UniqueFd nameless_file(const std::filesystem::path& folder, mode_t mode = 0644);
/// Gives a nameless file of the same folder its name, in place of a file that has it, so that a reader or a crash sees
/// the old one or the new one. Several threads and processes may do so at once: the last one wins.
void publish_file(int file, const std::filesystem::path& path);
/// The two for a short text.
void write_file_durably(const std::filesystem::path& path, std::string_view text, mode_t mode);

}  // namespace erofs_oci
