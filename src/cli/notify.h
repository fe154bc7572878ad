// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace erofs_oci {

/// Sends "STATUS=…" to the service manager that started this program (sd_notify(3), "Standalone
/// Implementations"); does nothing where none did. What cannot be sent is not an error: the work does not
/// depend on it.
void notify_service_manager(const std::string& message);

}  // namespace erofs_oci
