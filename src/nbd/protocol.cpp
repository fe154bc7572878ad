// SPDX-License-Identifier: Apache-2.0
#include "nbd/protocol.h"

#include <cerrno>

namespace erofs_oci::nbd {

uint32_t wire_error(int errno_value) {
  switch (errno_value) {
    case EPERM:
    case EIO:
    case ENOMEM:
    case EINVAL:
    case ENOSPC:
    case EOVERFLOW:
    case ESHUTDOWN:
      return static_cast<uint32_t>(errno_value);  // the protocol's values are Linux's
    case EOPNOTSUPP:
      return 95;
    case EACCES:
    case EROFS:
      return EPERM;
    default:
      return EIO;
  }
}

}  // namespace erofs_oci::nbd
