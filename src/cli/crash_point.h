// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <signal.h>

#include <cstdlib>
#include <string_view>

namespace erofs_oci {

/// For tests of what a killed client leaves behind: $EROFS_OCI_CRASH_AFTER=STEP kills the process after that step.
inline void crash_point(std::string_view step) {
  const char* wanted = std::getenv("EROFS_OCI_CRASH_AFTER");
  if (wanted != nullptr && step == wanted) ::raise(SIGKILL);
}

}  // namespace erofs_oci
