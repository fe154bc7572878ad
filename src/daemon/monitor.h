// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "control/method.h"
#include "daemon/event_log.h"

namespace erofs_oci {

/// Monitor, over `events`, which outlives its use.
Method monitor_method(EventLog& events);

}  // namespace erofs_oci
