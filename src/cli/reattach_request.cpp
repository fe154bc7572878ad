// SPDX-License-Identifier: Apache-2.0
#include "cli/reattach_request.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"

namespace erofs_oci {
namespace {

constexpr const char* kName = "reattach";

}  // namespace

void ReattachRequest::take() const {
  const auto folder = try_open_file(folder_, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!folder || ::unlinkat(folder->get(), kName, 0) == 0 || errno == ENOENT) return;
  throw errno_error("{}: cannot be removed, so erofs-oci-reattach.path would start this again and again; remove it",
                    (folder_ / kName).native());
}

bool ReattachRequest::exists() const {
  struct stat info {};
  return ::lstat((folder_ / kName).c_str(), &info) == 0;
}

}  // namespace erofs_oci
