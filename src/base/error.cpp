// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"

#include <array>
#include <cstring>

namespace erofs_oci {
namespace {

struct KindInfo {
  ErrorKind kind;
  std::string_view name;
  int errno_value;
};

constexpr std::array<KindInfo, 9> kKinds{{
    {ErrorKind::not_found, "not_found", ENOENT},
    {ErrorKind::denied, "denied", EACCES},
    {ErrorKind::unavailable, "unavailable", EIO},
    {ErrorKind::corrupt, "corrupt", EIO},
    {ErrorKind::unsupported, "unsupported", EOPNOTSUPP},
    {ErrorKind::invalid, "invalid", EINVAL},
    {ErrorKind::busy, "busy", EBUSY},
    {ErrorKind::no_space, "no_space", ENOSPC},
    {ErrorKind::system, "system", EIO},
}};

const KindInfo& info(ErrorKind kind) { return kKinds[static_cast<size_t>(kind)]; }

ErrorKind kind_of_errno(int errno_value) {
  switch (errno_value) {
    case ENOENT:
    case ENODEV:
    case ENXIO:
      return ErrorKind::not_found;
    case EACCES:
    case EPERM:
      return ErrorKind::denied;
    case EBUSY:
      return ErrorKind::busy;
    case ENOSPC:
    case EDQUOT:
      return ErrorKind::no_space;
    case EINVAL:
      return ErrorKind::invalid;
    case EOPNOTSUPP:
    case ENOSYS:
      return ErrorKind::unsupported;
    default:
      return ErrorKind::system;
  }
}

}  // namespace

std::string_view to_string(ErrorKind kind) { return info(kind).name; }

ErrorKind error_kind_from_string(std::string_view name) {
  for (const KindInfo& entry : kKinds) {
    if (entry.name == name) return entry.kind;
  }
  return ErrorKind::system;
}

Error::Error(ErrorKind kind, const std::string& sentence) : Error(kind, info(kind).errno_value, sentence) {}

Error Error::within(std::string_view context) const {
  return Error(kind_, errno_value_, fmt::format("{}: {}", context, what()));
}

Error system_error(int errno_value, std::string_view context) {
  return Error(kind_of_errno(errno_value), errno_value == 0 ? EIO : errno_value,
               fmt::format("{}: {}", context, std::strerror(errno_value)));
}

}  // namespace erofs_oci
