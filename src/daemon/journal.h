// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace erofs_oci {

/// Where the process's messages go to the journal, sends them there with their fields (sd_journal_sendv(3)). Call before
/// threads start.
void log_to_journal();

}  // namespace erofs_oci
