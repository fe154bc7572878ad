// SPDX-License-Identifier: Apache-2.0
#include "base/fs_context.h"

#include <sys/mount.h>
#include <unistd.h>

namespace erofs_oci {
namespace {

/// The messages that the kernel kept in the context, without their "e " (error), "w " or "i ". Each read(2)
/// gives one.
std::string kernel_words(int context) {
  std::string words;
  char line[512];
  for (;;) {
    const ssize_t count = ::read(context, line, sizeof line);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 2) return words;  // ENODATA: that was the last
    std::string_view text(line + 2, static_cast<size_t>(count) - 2);
    while (text.ends_with('\n')) text.remove_suffix(1);
    if (!words.empty()) words += "; ";
    words += text;
  }
}

}  // namespace

FsContext::FsContext(const std::string& type) : type_(type), fd_(::fsopen(type.c_str(), FSOPEN_CLOEXEC)) {
  if (fd_) return;
  if (errno == ENODEV) {
    throw make_error(ErrorKind::unsupported, "this kernel has no {} filesystem (modprobe {} did not help)",
                     type, type);
  }
  throw errno_error("fsopen of {}", type);
}

void FsContext::set_flag(const std::string& key) {
  if (::fsconfig(fd_.get(), FSCONFIG_SET_FLAG, key.c_str(), nullptr, 0) == 0) return;
  throw failure(errno, fmt::format("{} option {}", type_, key));
}

void FsContext::set_string(const std::string& key, const std::string& value) {
  if (::fsconfig(fd_.get(), FSCONFIG_SET_STRING, key.c_str(), value.c_str(), 0) == 0) return;
  throw failure(errno, fmt::format("{} option {}={}", type_, key, value));
}

void FsContext::create() {
  if (::fsconfig(fd_.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) == 0) return;
  throw failure(errno, fmt::format("opening the {} filesystem", type_));
}

UniqueFd FsContext::mount(unsigned attributes) {
  UniqueFd fd(::fsmount(fd_.get(), FSMOUNT_CLOEXEC, attributes));
  if (!fd) throw failure(errno, fmt::format("fsmount of {}", type_));
  return fd;
}

Error FsContext::failure(int errno_value, std::string_view what) const {
  const Error error = system_error(errno_value, what);
  const std::string words = kernel_words(fd_.get());
  if (words.empty()) return error;
  return Error(error.kind(), error.errno_value(), fmt::format("{} ({})", error.what(), words));
}

}  // namespace erofs_oci
