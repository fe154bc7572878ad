// SPDX-License-Identifier: Apache-2.0
#include "base/crc64.h"

#include <isa-l/crc64.h>

namespace erofs_oci {

uint64_t crc64(Bytes bytes, uint64_t before) {
  return crc64_ecma_refl(before, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
}

}  // namespace erofs_oci
