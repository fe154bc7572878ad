// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <signal.h>

#include <cstdlib>
#include <string_view>

namespace erofs_oci {

/// For tests of what a client leaves behind: $EROFS_OCI_CRASH_AFTER=STEP kills the process after that step,
/// and $EROFS_OCI_TERMINATE_AFTER=STEP sends it SIGTERM.
inline void crash_point(std::string_view step) {
  const auto is_wanted = [&](const char* variable) {
    const char* wanted = std::getenv(variable);
    return wanted != nullptr && step == wanted;
  };
  if (is_wanted("EROFS_OCI_CRASH_AFTER")) ::raise(SIGKILL);
  if (is_wanted("EROFS_OCI_TERMINATE_AFTER")) ::raise(SIGTERM);
}

}  // namespace erofs_oci
