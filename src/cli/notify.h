// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace erofs_oci {

/// What `systemctl status` shows beside "Status:", one line; empty: nothing. Does nothing where no service
/// manager started this program (sd_notify(3), "Standalone Implementations"). What cannot be sent is not an
/// error: the work does not depend on it.
void notify_status(std::string line);

}  // namespace erofs_oci
