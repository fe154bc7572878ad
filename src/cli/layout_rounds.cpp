// SPDX-License-Identifier: Apache-2.0
#include "cli/layout_rounds.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace erofs_oci {

void check_regular_file(int fd, const std::string& name) {
  if (S_ISREG(stat_fd(fd, name).st_mode)) return;
  throw make_error(ErrorKind::invalid, "{}: is not a regular file", name);
}

std::map<std::string, UniqueFd> LayoutRounds::open(const FilesWanted& wanted) {
  if (source_.kind != ImageKind::oci) {
    throw Error(ErrorKind::corrupt, "the daemon asks for files of an image layout, and there is none");
  }
  if (++rounds_ > kMaxRounds) {
    throw make_error(ErrorKind::unsupported, "{}: the daemon asked for more files {} times; giving up",
                     source_.location, rounds_);
  }
  std::map<std::string, UniqueFd> files;
  for (const std::string& name : wanted.names) {
    if (!is_layout_file(name) || !opened_.insert(name).second) {
      throw make_error(ErrorKind::corrupt,
                       "the daemon asks for the file '{}', which it may not or has already", printable(name));
    }
    if (opened_.size() > kMaxLayoutFiles) {
      throw make_error(ErrorKind::unsupported,
                       "{}: the image has more than {} files; pack it as a tar file, "
                       "and name it oci-archive:",
                       source_.location, kMaxLayoutFiles);
    }
    files.emplace(name, open_file_of_layout(name));
  }
  return files;
}

UniqueFd LayoutRounds::open_file_of_layout(const std::string& name) {
  if (!folder_) folder_ = open_file(source_.location, O_PATH | O_DIRECTORY);
  const std::string path = source_.location + "/" + name;
  open_how how{};
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;  // a FIFO must not hold us up
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  UniqueFd file(static_cast<int>(::syscall(SYS_openat2, folder_.get(), name.c_str(), &how, sizeof how)));
  if (!file && errno == ELOOP) {
    throw make_error(ErrorKind::denied, "{}: a symbolic link in a layout is not followed", path);
  }
  if (!file) throw errno_error("{}", path);
  check_regular_file(file.get(), path);
  return file;
}

}  // namespace erofs_oci
