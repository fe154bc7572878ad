// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>

#include "base/error.h"
#include "base/proc_path.h"

namespace erofs_oci {

UniqueFd open_file(const std::filesystem::path& path, int flags, mode_t mode) {
  UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC, mode));
  if (!fd) throw errno_error("{}", path.native());
  return fd;
}

std::optional<UniqueFd> try_open_file(const std::filesystem::path& path, int flags) {
  UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC));
  if (!fd && errno == ENOENT) return std::nullopt;
  if (!fd) throw errno_error("{}", path.native());
  return fd;
}

UniqueFd duplicate(int fd) {
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!copy) throw errno_error("cannot duplicate a descriptor");
  return copy;
}

struct stat stat_fd(int fd, std::string_view name) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) throw errno_error("{}", name);
  return info;
}

UniqueFd memory_file(const char* name, std::string_view content) {
  UniqueFd file(::memfd_create(name, MFD_CLOEXEC));
  if (!file) throw errno_error("memfd_create");
  pwrite_all(file.get(), 0, as_bytes(content), name);
  return file;
}

void pread_exactly(int fd, uint64_t offset, MutableBytes out, std::string_view name) {
  while (!out.empty()) {
    const ssize_t count = ::pread(fd, out.data(), out.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw errno_error("{}: reading {} bytes at {}", name, out.size(), offset);
    if (count == 0) {
      throw make_error(ErrorKind::corrupt, "{}: ends at byte {}, {} more were expected", name, offset, out.size());
    }
    out = out.subspan(static_cast<size_t>(count));
    offset += static_cast<uint64_t>(count);
  }
}

void pwrite_all(int fd, uint64_t offset, Bytes bytes, std::string_view name) {
  while (!bytes.empty()) {
    const ssize_t count = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw errno_error("{}: writing {} bytes at {}", name, bytes.size(), offset);
    bytes = bytes.subspan(static_cast<size_t>(count));
    offset += static_cast<uint64_t>(count);
  }
}

void write_all(int fd, Bytes bytes, std::string_view name) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw errno_error("{}: writing {} bytes", name, bytes.size());
    bytes = bytes.subspan(static_cast<size_t>(count));
  }
}

std::vector<std::string> names_in(const std::filesystem::path& folder) {
  namespace fs = std::filesystem;
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
    names.push_back(entry->path().filename());
  if (error) throw system_error(error.value(), folder.native());
  return names;
}

std::string read_text(int fd, uint64_t limit, std::string_view name) {
  std::string text;
  char buffer[16384];
  for (;;) {
    const ssize_t count = ::read(fd, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw errno_error("{}", name);
    if (count == 0) return text;
    text.append(buffer, static_cast<size_t>(count));
    if (text.size() > limit) {
      throw make_error(ErrorKind::invalid, "{}: is larger than {} bytes, the most that is read", name, limit);
    }
  }
}

std::string read_text_file(const std::filesystem::path& path, uint64_t limit) {
  const UniqueFd fd = open_file(path, O_RDONLY);
  return read_text(fd.get(), limit, path.native());
}

UniqueFd nameless_file(const std::filesystem::path& folder, mode_t mode) {
  return open_file(folder, O_TMPFILE | O_RDWR, mode);
}

void publish_file(int file, const std::filesystem::path& path) {
  if (::fsync(file) != 0) throw errno_error("{}: fsync", path.native());
  std::filesystem::path temporary = path;
  temporary += ".new";
  const UniqueFd folder = open_file(path.parent_path(), O_RDONLY | O_DIRECTORY);
  // The temporary name belongs to who holds this, among threads and processes.
  while (::flock(folder.get(), LOCK_EX) != 0) {
    if (errno != EINTR) throw errno_error("{}: flock", path.parent_path().native());
  }
  ::unlink(temporary.c_str());
  if (::linkat(AT_FDCWD, proc_path(file).c_str(), AT_FDCWD, temporary.c_str(), AT_SYMLINK_FOLLOW) != 0)
    throw errno_error("{}: link", temporary.native());
  if (::rename(temporary.c_str(), path.c_str()) != 0) throw errno_error("{}: rename", path.native());
  if (::fsync(folder.get()) != 0) throw errno_error("{}: fsync", path.parent_path().native());
}

void write_file_durably(const std::filesystem::path& path, std::string_view text, mode_t mode) {
  const UniqueFd fd = nameless_file(path.parent_path(), mode);
  write_all(fd.get(), as_bytes(text), path.native());
  publish_file(fd.get(), path);
}

}  // namespace erofs_oci
