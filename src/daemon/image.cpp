// SPDX-License-Identifier: Apache-2.0
#include "daemon/image.h"

#include "base/error.h"
#include "daemon/image_config.h"

namespace erofs_oci {

registry::Platform wanted_platform(const Definition& definition) {
  return definition.platform ? registry::Platform::parse(*definition.platform) : registry::Platform::host();
}

Error given_up() {
  return Error(ErrorKind::unavailable, ECANCELED,
               "given up, since the daemon is stopping or its client has left");
}

std::vector<Digest> Image::diff_ids() {
  return ImageConfig(config()).diff_ids(layers().size(), name());
}

}  // namespace erofs_oci
